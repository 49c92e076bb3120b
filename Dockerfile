# The first stage has the source and builds wheels of it and of everything it needs; the image itself gets
# neither source nor build tools.
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE MANIFEST.in ./
COPY mcp_echo ./mcp_echo
COPY twisted ./twisted
RUN pip wheel --no-cache-dir --wheel-dir /wheels ".[redis]"

FROM python:3.13-slim
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mcp-echo" \
      org.opencontainers.image.description="A stateful diagnostic MCP server: shows exactly what a client, gateway or OAuth proxy sent." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# /logs and /data are for volumes: a new named volume takes this owner over, so that LOG_FILE can point to the one
# and MCP_ECHO_STORE to the other.
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --root-user-action=ignore --no-index --find-links=/wheels "mcp-echo-daemon[redis]" \
    && install -d -o 65532 -g 65532 -m 0750 /logs /data

# Twisted keeps a list of its plugins beside them and cannot write it later, as another user on a read-only
# file system; it would log that at every start. Last, since the list must know every plugin; and after a
# second, since image layers keep times in whole seconds and a list no newer than a plugin is not believed.
RUN sleep 1 && python -c "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))"

# Inside a container the loopback interface reaches nobody. Who may connect is up to the published ports,
# and MCP_ECHO_ALLOWED_HOSTS still says under which names.
ENV MCP_ECHO_HOST=0.0.0.0 \
    MCP_ECHO_PORT=3000
WORKDIR /
USER 65532:65532
EXPOSE 3000
STOPSIGNAL SIGTERM

# Straight to the server, whatever proxy the environment names.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['MCP_ECHO_PORT'] + '/health', timeout=4)"]

# Options can be appended: docker run IMAGE --strict
# Sessions end with the container. To have them outlive it, or shared by several:
#   docker run -v mcp-echo:/data -e MCP_ECHO_STORE=sqlite:/data/sessions.db IMAGE
#   docker run -e MCP_ECHO_STORE=redis://redis:6379 IMAGE
ENTRYPOINT ["twistd", "-n", "--pidfile=", "mcp-echo"]
