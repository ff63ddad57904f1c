# A small image that serves weights on the CPU. It is not built by the tests of this repository.
#
#   docker build -t zoo .
#   docker run --rm -p 127.0.0.1:8000:8000 zoo                                   # imdb-bilstm
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/runs:/models:ro" zoo /models/sms
#
# Set ZOO_SERVE_TOKEN (-e ZOO_SERVE_TOKEN=...) before the port is published beyond this machine.

FROM python:3.11-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/zoo \
 && /opt/zoo/bin/pip install --no-cache-dir \
      --extra-index-url https://download.pytorch.org/whl/cpu \
      --constraint constraints.txt ".[serve]"

FROM python:3.11-slim
COPY --from=build /opt/zoo /opt/zoo
# Compiled layers are kept in the home folder of a user without rights.
RUN useradd --create-home zoo
USER zoo
ENV PATH=/opt/zoo/bin:$PATH PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", \
  "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
# SIGTERM, which `docker stop` sends, lets requests in progress end.
ENTRYPOINT ["zoo", "serve", "--host", "0.0.0.0"]
CMD ["imdb-bilstm"]
