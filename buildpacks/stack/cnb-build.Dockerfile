# What the lifecycle of a builder image runs in: the builder as it is, with the user of builds and dynos in the place of its
# own, so that the layers of an app belong to whom they run as, and with the operator's certificate authorities.
ARG IMAGE
FROM ${IMAGE}
USER root
COPY ca/ /usr/local/share/ca-certificates/
RUN set -e; \
    if command -v update-ca-certificates > /dev/null; then update-ca-certificates; fi; \
    grep -q '^paas:' /etc/group || echo 'paas:x:10001:' >> /etc/group; \
    grep -q '^paas:' /etc/passwd || echo 'paas:x:10001:10001::/paas/home:/bin/sh' >> /etc/passwd; \
    for folder in /paas/home /layers /workspace /platform /paas/cache; do \
      mkdir -p "$folder"; chown -R 10001:10001 "$folder"; \
    done
ENV CNB_USER_ID=10001 CNB_GROUP_ID=10001 HOME=/paas/home
USER 10001:10001
WORKDIR /workspace
