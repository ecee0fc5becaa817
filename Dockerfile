FROM python:3.11-slim

ARG VERSION=0.1.0
# PyPI's torch for x86 brings CUDA, several gigabytes; this index has the CPU build, and pip prefers it.
# Where it is out of reach, pip takes PyPI's. For CUDA: docker-compose build --build-arg TORCH_INDEX_URL=
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu

LABEL org.opencontainers.image.title="timeseries-segmenter" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.licenses="Apache-2.0"

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    MODEL_DIR=/data/models \
    PORT=9090

WORKDIR /app

# packages first: a change of the code installs none of them again
COPY requirements.txt requirements-base.txt ./
# by itself, so that the extra index is asked for nothing else
RUN pip install --no-deps --retries 1 ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} "$(grep '^torch==' requirements.txt)"
RUN pip install -r requirements.txt
RUN pip install --no-deps -r requirements-base.txt

RUN useradd --create-home --uid 1000 segmenter && mkdir -p /data/models && chown -R segmenter /data

COPY gunicorn.conf.py model.py _wsgi.py ./
COPY timeseries_segmenter ./timeseries_segmenter
# the label is only as good as the argument that a release raises
RUN python -c "import timeseries_segmenter as ours; assert ours.__version__ == '$VERSION', ours.__version__"

USER segmenter
VOLUME /data
EXPOSE 9090

HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/health', timeout=4)"]

CMD ["gunicorn", "_wsgi:app"]
