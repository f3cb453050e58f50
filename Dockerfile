# Two images from one file: `bot` is small and has no torch, `worker` trains.
FROM python:3.12-slim AS bot
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    DATA_DIR=/data
WORKDIR /app
# The user first: a change of our code does not make this layer anew.
RUN useradd --create-home --uid 10001 lorabot \
 && install --directory --owner lorabot --group lorabot --mode 700 /data \
 && install --directory --owner lorabot --group lorabot /loras
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY lorabot lorabot
COPY bot bot
COPY pictures pictures
COPY pipeline pipeline
COPY storage storage
COPY trainer trainer
RUN pip install --constraint constraints.txt ".[discord,telegram,postgres,s3]"
USER lorabot
VOLUME /data
EXPOSE 8765
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s CMD ["lorabot", "health", "bot"]
CMD ["lorabot", "bot"]

FROM bot AS worker
USER root
# Exactly one onnxruntime and the headless OpenCV: insightface's own requirements would bring others.
RUN pip install --constraint constraints.txt ".[train,faces-gpu]" \
 && pip install --no-deps --constraint constraints.txt insightface
USER lorabot
HEALTHCHECK --interval=30s --timeout=15s --start-period=120s CMD ["lorabot", "health", "worker"]
CMD ["lorabot", "worker"]
