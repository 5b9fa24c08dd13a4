# The image of every Tidegauge process: `serve`, `worker`, `migrate` and the other commands.

FROM python:3.11.13-slim-bookworm AS build
WORKDIR /src
COPY requirements.image.lock ./
# Wheels only: whatever would need a compiler fails here instead of growing the image.
RUN python -m venv --without-pip /opt/tidegauge \
    && pip --python /opt/tidegauge/bin/python install --no-cache-dir --disable-pip-version-check \
       --require-hashes --only-binary :all: --requirement requirements.image.lock
COPY setup.cfg setup.py pyproject.toml README.md LICENSE ./
COPY migrations migrations
COPY server server
# setuptools is in the lock for this step only.
RUN pip --python /opt/tidegauge/bin/python install --no-cache-dir --disable-pip-version-check \
       --no-deps --no-build-isolation . \
    && pip --python /opt/tidegauge/bin/python uninstall --yes setuptools \
    && /opt/tidegauge/bin/tidegauge version

FROM python:3.11.13-slim-bookworm
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent \
       --shell /usr/sbin/nologin tidegauge
COPY --from=build /opt/tidegauge /opt/tidegauge
ENV PATH=/opt/tidegauge/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2 \
    MALLOC_MMAP_THRESHOLD_=1048576 \
    MALLOC_TRIM_THRESHOLD_=16777216 \
    TIDEGAUGE_HOST=0.0.0.0
USER 10001:10001
WORKDIR /tmp
EXPOSE 3001
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:%s/health/live' % os.environ.get('TIDEGAUGE_PORT', '3001'), timeout=4)"]
ENTRYPOINT ["tidegauge"]
CMD ["serve"]
