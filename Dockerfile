FROM python:3.11-slim

# PyPI's torch for x86 brings CUDA, several gigabytes. For the small CPU build, pass the address
# of PyTorch's CPU package index, as its "Get started" page gives it:
#   docker-compose build --build-arg TORCH_INDEX_URL=<address>
ARG TORCH_INDEX_URL=""

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    MODEL_DIR=/data/models \
    PORT=9090

WORKDIR /app

COPY requirements.txt requirements-base.txt ./
RUN if [ -n "$TORCH_INDEX_URL" ]; then pip install --index-url "$TORCH_INDEX_URL" "$(grep '^torch==' requirements.txt)"; fi
RUN pip install -r requirements.txt
RUN pip install --no-deps -r requirements-base.txt

COPY gunicorn.conf.py model.py _wsgi.py ./
COPY timeseries_segmenter ./timeseries_segmenter

RUN useradd --create-home --uid 1000 segmenter && mkdir -p /data/models && chown -R segmenter /data
USER segmenter
VOLUME /data
EXPOSE 9090

HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/health', timeout=4)"]

CMD ["gunicorn", "_wsgi:app"]
