REVOKE ALL ON FUNCTION append_events, sequence_appends, ensure_partitions, refuse_change FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO tidemark_app, tidemark_projector, tidemark_reader;

GRANT SELECT ON streams, commands, events, unsequenced, positions, log_head, snapshots
    TO tidemark_app, tidemark_projector, tidemark_reader;
GRANT EXECUTE ON FUNCTION append_events TO tidemark_app;
GRANT INSERT, UPDATE ON snapshots TO tidemark_app;  -- a cache: they can be thrown away at any time
GRANT EXECUTE ON FUNCTION sequence_appends, ensure_partitions TO tidemark_projector;

-- Views are the projector's own. Each build of a view gets a schema, hence CREATE on the database (see migrate.py).
CREATE SCHEMA read AUTHORIZATION tidemark_projector;
GRANT USAGE ON SCHEMA read TO tidemark_app, tidemark_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE tidemark_projector GRANT USAGE ON SCHEMAS TO tidemark_app, tidemark_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE tidemark_projector GRANT SELECT ON TABLES TO tidemark_app, tidemark_reader;

SELECT ensure_partitions();
