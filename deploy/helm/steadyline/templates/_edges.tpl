{{/* The edges of a service: for each the variables that name it, and the secrets that it needs, as files.
     Every define takes root, component and user, and gives `env` and `files` (name, secret, items: key → file). */}}

{{/* Which edges each pod of ours has. */}}
{{- define "steadyline.edges" -}}
producers: [kafka, telemetry, rtsp]
scorer: [kafka, triton, store, trust, telemetry]
trainer: [kafka, redis, triton, tritonAdmin, repository, store, signing, trust, telemetry]
training: [redis, store, signing, trust, logs]
alerts: [kafka, redisReader, database, store, trust, deliveries, telemetry]
doctor: [kafka, redisReader, triton, tritonAdmin, store, trust]
topics: [kafka]
migration: [database]
{{- end }}

{{- define "steadyline.edgesOf" -}}
{{- get (include "steadyline.edges" . | fromYaml) . | toYaml -}}
{{- end }}

{{- define "steadyline.kafkaServers" -}}
{{- $strimzi := .Values.kafka.strimzi -}}
{{- $own := printf "%s-kafka-bootstrap:9093" $strimzi.cluster -}}
{{- if .Values.kafka.bootstrapServers -}}
{{- .Values.kafka.bootstrapServers -}}
{{- else if $strimzi.enabled -}}
{{- $own -}}
{{- else -}}
{{- fail "kafka.bootstrapServers is empty: name the brokers, or enable kafka.strimzi" -}}
{{- end -}}
{{- end }}

{{/* Who a service is at Kafka. Strimzi's users are objects, and called so. */}}
{{- define "steadyline.kafkaUser" -}}
{{- $given := get .root.Values.kafka.users .user -}}
{{- $name := default (printf "%s-%s" (include "steadyline.prefix" .root) .user) $given.username -}}
{{- if .root.Values.kafka.strimzi.enabled -}}
{{- include "steadyline.kubernetesName" $name -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end }}

{{- define "steadyline.kafkaSecret" -}}
{{- $given := get .root.Values.kafka.users .user -}}
{{- default (include "steadyline.kubernetesName" (include "steadyline.kafkaUser" .)) $given.secret -}}
{{- end }}

{{- define "steadyline.kafkaCa" -}}
{{- $kafka := .Values.kafka -}}
{{- if $kafka.ca.secret -}}
{{- $kafka.ca.secret -}}
{{- else if $kafka.strimzi.enabled -}}
{{- printf "%s-cluster-ca-cert" $kafka.strimzi.cluster -}}
{{- end -}}
{{- end }}

{{- define "steadyline.edge.kafka" -}}
{{- $kafka := .root.Values.kafka -}}
{{- $encrypted := hasSuffix "SSL" $kafka.securityProtocol -}}
{{- $sasl := hasPrefix "SASL" $kafka.securityProtocol -}}
{{- $mechanism := $kafka.saslMechanism -}}
{{- $ca := include "steadyline.kafkaCa" .root -}}
{{- $secret := include "steadyline.kafkaSecret" . -}}
env:
  - {name: KAFKA_BOOTSTRAP_SERVERS, value: {{ include "steadyline.kafkaServers" .root | quote }}}
  - {name: KAFKA_SECURITY_PROTOCOL, value: {{ $kafka.securityProtocol }}}
{{- if and $encrypted $ca }}
  - {name: KAFKA_SSL_CA_LOCATION, value: /run/secrets/steadyline/kafka-ca/ca.crt}
{{- end }}
{{- if $sasl }}
  - {name: KAFKA_SASL_MECHANISM, value: {{ $mechanism }}}
{{- if eq $mechanism "OAUTHBEARER" }}
  - {name: KAFKA_OAUTH_TOKEN_URL, value: {{ required "kafka.oauth.tokenUrl is empty: OAUTHBEARER asks there for tokens" $kafka.oauth.tokenUrl | quote }}}
  - {name: KAFKA_OAUTH_CLIENT_ID, value: {{ include "steadyline.kafkaUser" . | quote }}}
  - {name: KAFKA_OAUTH_CLIENT_SECRET_FILE, value: /run/secrets/steadyline/kafka/client-secret}
{{- if $kafka.oauth.scope }}
  - {name: KAFKA_OAUTH_SCOPE, value: {{ $kafka.oauth.scope | quote }}}
{{- end }}
{{- if $kafka.oauth.ca.secret }}
  - {name: KAFKA_OAUTH_CA_LOCATION, value: /run/secrets/steadyline/kafka-oauth-ca/ca.crt}
{{- end }}
{{- else if eq $mechanism "AWS_MSK_IAM" }}
  - {name: KAFKA_AWS_REGION, value: {{ required "kafka.awsRegion is empty: AWS_MSK_IAM signs for a region" $kafka.awsRegion | quote }}}
{{- else }}
  - {name: KAFKA_SASL_USERNAME, value: {{ include "steadyline.kafkaUser" . | quote }}}
  - {name: KAFKA_SASL_PASSWORD_FILE, value: /run/secrets/steadyline/kafka/password}
{{- end }}
{{- else if $encrypted }}
  - {name: KAFKA_SSL_CERTIFICATE_LOCATION, value: /run/secrets/steadyline/kafka/tls.crt}
  - {name: KAFKA_SSL_KEY_LOCATION, value: /run/secrets/steadyline/kafka/tls.key}
{{- if $kafka.keys.keyPassword }}
  - {name: KAFKA_SSL_KEY_PASSWORD_FILE, value: /run/secrets/steadyline/kafka/key-password}
{{- end }}
{{- end }}
files:
{{- if and $encrypted $ca }}
  - {name: kafka-ca, secret: {{ $ca }}, items: { {{ $kafka.ca.key | quote }}: ca.crt } }
{{- end }}
{{- if and $sasl (eq $mechanism "OAUTHBEARER") }}
  - {name: kafka, secret: {{ $secret }}, items: { {{ $kafka.keys.clientSecret | quote }}: client-secret } }
{{- if $kafka.oauth.ca.secret }}
  - {name: kafka-oauth-ca, secret: {{ $kafka.oauth.ca.secret }}, items: { {{ $kafka.oauth.ca.key | quote }}: ca.crt } }
{{- end }}
{{- else if and $sasl (ne $mechanism "AWS_MSK_IAM") }}
  - {name: kafka, secret: {{ $secret }}, items: { {{ $kafka.keys.password | quote }}: password } }
{{- else if and $encrypted (not $sasl) }}
  - name: kafka
    secret: {{ $secret }}
    items:
      {{ $kafka.keys.certificate | quote }}: tls.crt
      {{ $kafka.keys.key | quote }}: tls.key
{{- if $kafka.keys.keyPassword }}
      {{ $kafka.keys.keyPassword | quote }}: key-password
{{- end }}
{{- end }}
{{- end }}

{{/* The authority and the client's certificate of one edge: env and files of `prefix` (REDIS_SSL) in `name` (redis). */}}
{{- define "steadyline.tlsEnv" -}}
{{- if .at.ca.secret }}
  - {name: {{ .prefix }}_CA_LOCATION, value: /run/secrets/steadyline/{{ .name }}-ca/ca.crt}
{{- end }}
{{- if .at.client.secret }}
  - {name: {{ .prefix }}_CERTIFICATE_LOCATION, value: /run/secrets/steadyline/{{ .name }}-client/tls.crt}
  - {name: {{ .prefix }}_KEY_LOCATION, value: /run/secrets/steadyline/{{ .name }}-client/tls.key}
{{- end }}
{{- end }}

{{- define "steadyline.tlsFiles" -}}
{{- if .at.ca.secret }}
  - {name: {{ .name }}-ca, secret: {{ .at.ca.secret }}, items: { {{ .at.ca.key | quote }}: ca.crt } }
{{- end }}
{{- if .at.client.secret }}
  - {name: {{ .name }}-client, secret: {{ .at.client.secret }}, items: { {{ .at.client.certificate | quote }}: tls.crt, {{ .at.client.key | quote }}: tls.key } }
{{- end }}
{{- end }}

{{- define "steadyline.edge.redis" -}}
{{- include "steadyline.redisAs" (dict "root" .root "secret" .root.Values.redis.urlSecret) }}
{{- end }}

{{/* For those who only read. */}}
{{- define "steadyline.edge.redisReader" -}}
{{- $redis := .root.Values.redis -}}
{{- include "steadyline.redisAs" (dict "root" .root "secret" (ternary $redis.readerUrlSecret $redis.urlSecret (ne $redis.readerUrlSecret.name ""))) }}
{{- end }}

{{- define "steadyline.redisAs" -}}
{{- $redis := .root.Values.redis -}}
env:
  - {name: REDIS_URL_FILE, value: /run/secrets/steadyline/redis/url}
{{- if or $redis.allowClearPassword $redis.trial.enabled }}
  - {name: REDIS_ALLOW_CLEAR_PASSWORD, value: "true"}
{{- end }}
{{- include "steadyline.tlsEnv" (dict "at" $redis "prefix" "REDIS_SSL" "name" "redis") }}
files:
  - {name: redis, secret: {{ .secret.name }}, items: { {{ .secret.key | quote }}: url } }
{{- include "steadyline.tlsFiles" (dict "at" $redis "name" "redis") }}
{{- end }}

{{- define "steadyline.edge.triton" -}}
{{- $triton := .root.Values.triton -}}
{{- $own := printf "%s:8001" (include "steadyline.name" (dict "root" .root "component" "triton")) -}}
{{- $url := ternary $own $triton.url $triton.enabled -}}
env:
  - {name: TRITON_URL, value: {{ required "triton.url is empty: name the Triton that is outside, or enable triton" $url | quote }}}
  - {name: TRITON_SECURITY_PROTOCOL, value: {{ $triton.securityProtocol }}}
{{- if eq $triton.securityProtocol "SSL" }}
{{- include "steadyline.tlsEnv" (dict "at" $triton "prefix" "TRITON_SSL" "name" "triton") }}
{{- end }}
files:
{{- if eq $triton.securityProtocol "SSL" }}
{{- include "steadyline.tlsFiles" (dict "at" $triton "name" "triton") }}
{{- end }}
{{- end }}

{{/* Who loads and unloads models: the trainer; the doctor lists them. */}}
{{- define "steadyline.edge.tritonAdmin" -}}
{{- $secret := .root.Values.triton.adminKeySecret -}}
env:
  - {name: TRITON_ADMIN_KEY_FILE, value: /run/secrets/steadyline/triton-admin/key}
{{- if and (ne .component "triton") (eq .root.Values.triton.securityProtocol "PLAINTEXT") }}
  - {name: TRITON_ALLOW_CLEAR_KEY, value: "true"}
{{- end }}
files:
  - {name: triton-admin, secret: {{ $secret.name }}, items: { {{ $secret.key | quote }}: key } }
{{- end }}

{{- define "steadyline.edge.repository" -}}
env:
  - {name: TRITON_REPOSITORY, value: /var/lib/steadyline/repository}
files: []
volumes:
  - {name: repository, persistentVolumeClaim: {claimName: {{ include "steadyline.repositoryClaim" .root }}}}
mounts:
  - {name: repository, mountPath: /var/lib/steadyline/repository}
{{- end }}

{{- define "steadyline.repositoryClaim" -}}
{{- default (printf "%s-repository" (include "steadyline.fullname" .)) .Values.triton.repository.existingClaim -}}
{{- end }}

{{- define "steadyline.storeClaim" -}}
{{- default (printf "%s-store" (include "steadyline.fullname" .)) .Values.store.volume.existingClaim -}}
{{- end }}

{{- define "steadyline.edge.store" -}}
{{- $store := .root.Values.store -}}
{{- $s3 := $store.s3 -}}
{{- $own := .root.Values.triton.storeSecret -}}
{{- $secret := ternary $own $s3.credentialsSecret (and (eq .component "triton") (ne $own.name "")) -}}
{{- $line := include "steadyline.line" .root | fromYaml -}}
{{- if hasPrefix "s3://" (default "" $line.store) }}
env:
{{- if $secret.name }}
  - {name: AWS_SHARED_CREDENTIALS_FILE, value: /run/secrets/steadyline/s3/credentials}
{{- end }}
{{- if $s3.endpointUrl }}
  - {name: AWS_ENDPOINT_URL_S3, value: {{ $s3.endpointUrl | quote }}}
{{- end }}
{{- if $s3.region }}
  - {name: AWS_DEFAULT_REGION, value: {{ $s3.region | quote }}}
{{- end }}
{{- if $s3.ca.secret }}
  - {name: AWS_CA_BUNDLE, value: /run/secrets/steadyline/s3-ca/ca.crt}
{{- end }}
files:
{{- if $secret.name }}
  - {name: s3, secret: {{ $secret.name }}, items: { {{ $secret.key | quote }}: credentials } }
{{- end }}
{{- if $s3.ca.secret }}
  - {name: s3-ca, secret: {{ $s3.ca.secret }}, items: { {{ $s3.ca.key | quote }}: ca.crt } }
{{- end }}
{{- else if $store.volume.enabled }}
volumes:
  - {name: store, persistentVolumeClaim: {claimName: {{ include "steadyline.storeClaim" .root }}}}
mounts:
  - {name: store, mountPath: /var/lib/steadyline/store}
{{- end }}
{{- end }}

{{/* Of a pod without doors, that sends no telemetry. */}}
{{- define "steadyline.edge.logs" -}}
env:
  - {name: LOG_LEVEL, value: {{ .root.Values.telemetry.logLevel }}}
  - {name: STEADYLINE_LOG_FORMAT, value: json}
{{- end }}

{{- define "steadyline.edge.telemetry" -}}
{{- $telemetry := .root.Values.telemetry -}}
{{ include "steadyline.edge.logs" . }}
  - {name: STEADYLINE_HEALTH_HOST, value: 0.0.0.0}
  - {name: STEADYLINE_HEALTH_PORT, value: {{ $telemetry.healthPort | quote }}}
{{- if $telemetry.otlpEndpoint }}
  - {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ $telemetry.otlpEndpoint | quote }}}
{{- if $telemetry.allowClearOtlp }}
  - {name: STEADYLINE_ALLOW_CLEAR_OTLP, value: "true"}
{{- end }}
{{- if $telemetry.ca.secret }}
  - {name: OTEL_EXPORTER_OTLP_CERTIFICATE, value: /run/secrets/steadyline/otlp-ca/ca.crt}
{{- end }}
{{- if $telemetry.client.secret }}
  - {name: OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, value: /run/secrets/steadyline/otlp-client/tls.crt}
  - {name: OTEL_EXPORTER_OTLP_CLIENT_KEY, value: /run/secrets/steadyline/otlp-client/tls.key}
{{- end }}
{{- if $telemetry.headersSecret.name }}
  - {name: OTEL_EXPORTER_OTLP_HEADERS_FILE, value: /run/secrets/steadyline/otlp/headers}
{{- end }}
files:
{{- include "steadyline.tlsFiles" (dict "at" $telemetry "name" "otlp") }}
{{- if $telemetry.headersSecret.name }}
  - {name: otlp, secret: {{ $telemetry.headersSecret.name }}, items: { {{ $telemetry.headersSecret.key | quote }}: headers } }
{{- end }}
{{- end }}
{{- end }}

{{- define "steadyline.edge.trust" -}}
{{- $secret := .root.Values.signing.trustedKeysSecret -}}
{{- if $secret.name }}
env:
  - {name: STEADYLINE_TRUSTED_KEYS_FILE, value: /run/secrets/steadyline/trusted/keys.pem}
files:
  - {name: trusted, secret: {{ $secret.name }}, items: { {{ $secret.key | quote }}: keys.pem } }
{{- end }}
{{- end }}

{{- define "steadyline.edge.signing" -}}
{{- $secret := .root.Values.signing.signingKeySecret -}}
{{- if $secret.name }}
env:
  - {name: STEADYLINE_SIGNING_KEY_FILE, value: /run/secrets/steadyline/signing/key.pem}
files:
  - {name: signing, secret: {{ $secret.name }}, items: { {{ $secret.key | quote }}: key.pem } }
{{- end }}
{{- end }}

{{- define "steadyline.edge.database" -}}
{{- $alerts := .root.Values.alerts -}}
env:
  - {name: ALERTS_DATABASE_FILE, value: /run/secrets/steadyline/database/url}
{{- if or $alerts.allowClearDatabase .root.Values.postgresql.trial.enabled }}
  - {name: ALERTS_ALLOW_CLEAR_DATABASE, value: "true"}
{{- end }}
files:
  - {name: database, secret: {{ $alerts.databaseSecret.name }}, items: { {{ $alerts.databaseSecret.key | quote }}: url } }
{{- if $alerts.databaseCa.secret }}
  - {name: database-ca, secret: {{ $alerts.databaseCa.secret }}, items: { {{ $alerts.databaseCa.key | quote }}: ca.crt } }
{{- end }}
{{- end }}

{{- define "steadyline.edge.deliveries" -}}
{{- $alerts := .root.Values.alerts -}}
env:
{{- if $alerts.mailPasswordSecret.name }}
  - {name: ALERTS_MAIL_PASSWORD_FILE, value: /run/secrets/steadyline/mail/password}
{{- end }}
{{- if $alerts.heartbeatUrlSecret.name }}
  - {name: ALERTS_HEARTBEAT_URL_FILE, value: /run/secrets/steadyline/heartbeat/url}
{{- end }}
files:
{{- if $alerts.mailPasswordSecret.name }}
  - {name: mail, secret: {{ $alerts.mailPasswordSecret.name }}, items: { {{ $alerts.mailPasswordSecret.key | quote }}: password } }
{{- end }}
{{- if $alerts.heartbeatUrlSecret.name }}
  - {name: heartbeat, secret: {{ $alerts.heartbeatUrlSecret.name }}, items: { {{ $alerts.heartbeatUrlSecret.key | quote }}: url } }
{{- end }}
{{- end }}

{{- define "steadyline.edge.rtsp" -}}
{{- $secret := .root.Values.producers.rtspSecret -}}
{{- if $secret.name }}
env:
  - {name: PRODUCERS_RTSP_USERNAME_FILE, value: /run/secrets/steadyline/rtsp/username}
  - {name: PRODUCERS_RTSP_PASSWORD_FILE, value: /run/secrets/steadyline/rtsp/password}
files:
  - {name: rtsp, secret: {{ $secret.name }}, items: { {{ $secret.username | quote }}: username, {{ $secret.password | quote }}: password } }
{{- end }}
{{- end }}
