# Tidemark's own image: worker, projector, migrations and the command line; docker-compose.yml says which.

FROM python:3.13-slim-trixie AS packages
COPY requirements/run.lock /tmp/run.lock
RUN python -m venv /opt/tidemark \
 && /opt/tidemark/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: \
    -r /tmp/run.lock

FROM python:3.13-slim-trixie
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin tidemark
COPY --from=packages /opt/tidemark /opt/tidemark
WORKDIR /app
# Owned by root: the process can read its code, not change it. What is left out is in .dockerignore.
COPY . .
ENV PATH=/opt/tidemark/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
STOPSIGNAL SIGTERM
CMD ["python", "worker.py"]
