-- What the function of revision 0001 has forgotten: the next call numbers it, later than its turn but at last.
UPDATE log_head h SET gaps = h.gaps + forgotten.ids
    FROM (
        SELECT range_agg(int8range(u.append_id, u.append_id + 1)) AS ids
            FROM unsequenced u JOIN log_head ON u.append_id <= log_head.floor
    ) AS forgotten
    WHERE forgotten.ids IS NOT NULL;
