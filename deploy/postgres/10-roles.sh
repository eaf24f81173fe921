#!/bin/sh
# Run once by the postgres image, on an empty volume: who may log in, and whose databases there are.
# The privileges of the tidemark_* roles come from the migrations.
set -eu

psql --username "$POSTGRES_USER" --dbname postgres --set ON_ERROR_STOP=1 \
    --set temporal="$TEMPORAL_DB_PASSWORD" --set app="$TIDEMARK_APP_PASSWORD" \
    --set projector="$TIDEMARK_PROJECTOR_PASSWORD" --set reader="$TIDEMARK_READER_PASSWORD" <<'SQL'
CREATE ROLE temporal LOGIN PASSWORD :'temporal';
CREATE ROLE tidemark_app LOGIN PASSWORD :'app';
CREATE ROLE tidemark_projector LOGIN PASSWORD :'projector';
CREATE ROLE tidemark_reader LOGIN PASSWORD :'reader';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
CREATE DATABASE tidemark;
SQL
