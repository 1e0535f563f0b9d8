{{/* The Job of a training, that the trainer makes of this template: trainer/cluster/job_template.py says what it adds. */}}

{{- define "steadyline.workIsOfOneNode" -}}
{{- not (has "ReadWriteMany" .Values.trainer.work.accessModes) -}}
{{- end }}

{{/* One process for each GPU of each pod; torchrun only where they are several. */}}
{{- define "steadyline.trainingArgs" -}}
{{- $jobs := .Values.trainer.jobs -}}
{{- $each := ternary $jobs.gpu.count 1 $jobs.gpu.enabled | int -}}
{{- $job := list "-m" "trainer" "job" "--line" "/etc/steadyline/line.yaml" "--work" "/var/lib/steadyline/trainer" -}}
{{- $run := list "-P" -}}
{{- if gt (mul $each $jobs.pods) 1 -}}
{{- /* The first pod waits for the others as long as the trainer does, and ten minutes more: the trainer is to tell what they wait for. */}}
{{- $patience := printf "--rdzv-conf=timeout=%d" (add 600 (mulf 60 $jobs.startMinutes | int)) -}}
{{- $run = list "-P" "-m" "trainer" "torchrun" (printf "--nnodes=%d" (int $jobs.pods)) (printf "--nproc-per-node=%d" $each) "--node-rank=$(JOB_COMPLETION_INDEX)" "--rdzv-backend=static" $patience "--master-addr=$(TRAINING_MASTER)" "--master-port=29400" "--max-restarts=0" -}}
{{- end -}}
{{- concat $run $job | toYaml -}}
{{- end }}

{{- define "steadyline.trainingJob" -}}
{{- $jobs := .Values.trainer.jobs -}}
{{- $selector := dict "root" . "component" "training" -}}
{{- $name := include "steadyline.name" $selector -}}
{{- $work := include "steadyline.name" (dict "root" . "component" "trainer") -}}
{{- $config := dict "resources" $jobs.resources "nodeSelector" $jobs.nodeSelector "tolerations" $jobs.tolerations "podAnnotations" $jobs.podAnnotations "affinity" $jobs.affinity "settings" .Values.trainer.settings -}}
{{- if eq (include "steadyline.workIsOfOneNode" .) "true" -}}
{{- /* The trainer's disk can be written on one node only. */}}
{{- $near := list (include "steadyline.near" (dict "root" . "component" "trainer") | fromYaml) -}}
{{- $_ := set $config "affinity" (merge (dict) $jobs.affinity (dict "podAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" $near))) -}}
{{- end -}}
{{- $volumes := list (dict "name" "work" "persistentVolumeClaim" (dict "claimName" (printf "%s-work" $work))) (dict "name" "memory" "emptyDir" (dict "medium" "Memory" "sizeLimit" $jobs.sharedMemory)) -}}
{{- /* The folder of the product alone: not the trainer's name, not the key of its samples. */}}
{{- $mounts := list (dict "name" "work" "mountPath" "/var/lib/steadyline/trainer" "subPathExpr" "$(TRAINING_PRODUCT)") (dict "name" "memory" "mountPath" "/dev/shm") -}}
{{- $pod := dict "root" . "component" "training" "image" "trainer" "user" "trainer" "config" $config "restartPolicy" "Never" "command" (list "python") "args" (include "steadyline.trainingArgs" . | fromYamlArray) "volumes" $volumes "mounts" $mounts "gpu" $jobs.gpu "subdomain" $name -}}
{{- $_ := set $pod "edges" (include "steadyline.edgesOf" "training" | fromYamlArray) -}}
{{- $_ := set $pod "line" (printf "%s-line" (include "steadyline.fullname" .)) -}}
{{- $_ := set $pod "seconds" 30 -}}
{{- $_ := set $pod "class" (include "steadyline.class" (dict "root" . "kind" "training")) -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $name }}
  namespace: {{ .Release.Namespace }}
  labels: {{- include "steadyline.labels" $selector | nindent 4 }}
spec:
  # The trainer itself starts a training again, from its checkpoint, and gives it up at last.
  backoffLimit: 0
  podReplacementPolicy: Failed
  completionMode: Indexed
  completions: {{ $jobs.pods }}
  parallelism: {{ $jobs.pods }}
  ttlSecondsAfterFinished: {{ $jobs.keepSeconds }}
  template:
    {{- include "steadyline.pod" $pod | nindent 4 }}
{{- end }}
