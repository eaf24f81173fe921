#!/bin/sh
# Brings the Temporal server's two databases to the schema of this server version. Safe to run again.
set -eu

for database in temporal visibility; do
    case "$database" in
        temporal) name=temporal ;;
        visibility) name=temporal_visibility ;;
    esac
    temporal-sql-tool --db "$name" setup-schema --version 0.0
    temporal-sql-tool --db "$name" update-schema \
        --schema-dir "/etc/temporal/schema/postgresql/v12/$database/versioned"
done
