# The gateway alone, from the lockfile: docker build -t sluice .
# scripts/image.mjs does the same steps without Docker.

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Without scripts: `prepare` builds, and what it builds is copied next.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY scripts/build.mjs ./scripts/
COPY schemas ./schemas
COPY hooks ./hooks
COPY src ./src
RUN node scripts/build.mjs

FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-slim
WORKDIR /app
COPY package.json LICENSE gateway.yaml ./
COPY schemas ./schemas
COPY hooks ./hooks
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist/src ./dist/src
# The only place it writes to; the rest may be read-only. 1000 is the image's user `node`.
RUN install -d -o 1000 -g 1000 -m 700 /data
ENV NODE_ENV=production SLUICE_DATA_DIR=/data
VOLUME /data
USER 1000:1000
# Mount a folder with gateway.yaml and hooks/ here; a folder, since editors replace files and a mounted file would stay the old one.
WORKDIR /config
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["node", "-e", "fetch('http://127.0.0.1:4000/health/ready').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--enable-source-maps", "/app/dist/src/cli/main.js"]
CMD ["start", "--host", "0.0.0.0", "--port", "4000"]
