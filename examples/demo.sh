#!/usr/bin/env bash
# The main job on real data, end to end: a model is declared with kubectl, and a URL answers.
# `make demo` brings up all that this needs; with a cluster of your own, KUBECONFIG is enough.
set -euo pipefail
cd "$(dirname "$0")"
namespace=${REFIT_DEMO_NAMESPACE:-refit-demo}
port=${REFIT_DEMO_PORT:-8081}

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

say "1. A namespace, and a ModelDeployment: what the model is, not how to make it"
kubectl get namespace "$namespace" >/dev/null 2>&1 || run kubectl create namespace "$namespace"
run cat heart.yaml
run kubectl apply -n "$namespace" -f heart.yaml

say "2. Refit checks the data, trains the candidates in a Job, registers the best and rolls it out"
last=""
deadline=$((SECONDS + 600))
while ((SECONDS < deadline)); do
    now=$(kubectl get mdep heart -n "$namespace" -o jsonpath='{range .status.conditions[?(@.type=="Ready")]}{.status} {.reason}: {.message}{end}')
    [ "$now" = "$last" ] || printf '%4ds  Ready=%s\n' "$SECONDS" "$now"
    last=$now
    [ "${now%% *}" = True ] && break
    if [ -n "$(kubectl get mdep heart -n "$namespace" -o jsonpath='{.status.conditions[?(@.type=="Stalled")].reason}')" ]; then
        echo "it needs a person: kubectl describe mdep heart -n $namespace" >&2
        exit 1
    fi
    kubectl wait mdep/heart -n "$namespace" --for=condition=Ready --timeout=1s >/dev/null 2>&1 || true
done
[ "${last%% *}" = True ] || { echo "not ready in time: kubectl describe mdep heart -n $namespace" >&2; exit 1; }
job=$(kubectl get mdep heart -n "$namespace" -o jsonpath='{.status.training.job}')
say "3. What the training said (kubectl logs job/$job)"
kubectl logs -n "$namespace" "job/$job" | tail -n 5

say "4. What stands in the cluster"
run kubectl get mdep,inferenceservice,job -n "$namespace"

url=$(kubectl get mdep heart -n "$namespace" -o jsonpath='{.status.url}')
say "5. The inference URL inside the cluster is $url; here it is reached by a port-forward"
kubectl port-forward -n "$namespace" service/heart-predictor "$port:80" >/dev/null &
forward=$!
trap 'kill $forward 2>/dev/null' EXIT
curl --silent --output /dev/null --retry 20 --retry-connrefused --retry-delay 1 "http://localhost:$port/v2/models/heart/ready"

say "V1: a record, columns by name"
run curl --silent --fail-with-body "http://localhost:$port/v1/models/heart:predict" -d @request-v1.json
echo
say "V2: tensors, columns by name"
run curl --silent --fail-with-body "http://localhost:$port/v2/models/heart/infer" -d @request-v2.json
echo

say "6. The world changes: 400 patients who are older than those that the model learned from"
inference=$(python3 traffic.py ask "http://localhost:$port" 400)
echo "asked and answered; inference id $inference"

say "7. Later it is known how it turned out with them: labels, joined by the inference id"
kubectl port-forward -n refit-system service/refit-collector "$((port + 1)):8080" >/dev/null &
collector=$!
trap 'kill $forward $collector 2>/dev/null' EXIT
curl --silent --output /dev/null --retry 20 --retry-connrefused --retry-delay 1 "http://localhost:$((port + 1))/healthz"
TOKEN=$(kubectl create token default -n "$namespace" --audience=refit-collector) \
    python3 traffic.py label "http://localhost:$((port + 1))" "$namespace" "$inference" 400

say "8. Refit measures every few minutes; here it is asked to do it now"
for attempt in 1 2 3 4 5; do
    kubectl annotate mdep heart -n "$namespace" refit.dev/measure-requested-at="$(date -u +%FT%TZ)-$attempt" --overwrite >/dev/null
    kubectl wait mdep/heart -n "$namespace" --for=condition=Drifted --timeout=30s >/dev/null 2>&1 && break
done
run kubectl get mdep heart -n "$namespace"
kubectl get mdep heart -n "$namespace" -o jsonpath='{range .status.conditions[?(@.type=="Drifted")]}Drifted={.status}: {.message}{"\n"}{end}'
kubectl get mdep heart -n "$namespace" -o jsonpath='{range .status.conditions[?(@.type=="QualityOk")]}QualityOk={.status}: {.message}{"\n"}{end}'

say "9. It says what it would do, and what that would bring: a trial is trained before anybody is asked"
request=$(kubectl get rreq -n "$namespace" -o jsonpath='{.items[?(@.spec.action=="Retrain")].metadata.name}')
kubectl wait "rreq/$request" -n "$namespace" --for=jsonpath='{.status.phase}'=AwaitingApproval --timeout=300s >/dev/null
run kubectl get rreq -n "$namespace"
kubectl get rreq "$request" -n "$namespace" -o jsonpath='{.status.proposal.text}{"\n"}'

say "10. alice may decide on repairs in this namespace, and nothing else; she says yes to just this proposal"
kubectl create rolebinding alice-decides -n "$namespace" --clusterrole=refit-approver --user=alice \
    --dry-run=client -o yaml | run kubectl apply -f -
digest=$(kubectl get rreq "$request" -n "$namespace" -o jsonpath='{.status.proposal.digest}')
run kubectl patch rreq "$request" -n "$namespace" --as=alice --subresource=status --type=merge \
    -p "{\"status\":{\"approvals\":{\"alice\":{\"decision\":\"Approved\",\"proposalDigest\":\"$digest\"}}}}"

say "11. Exactly that is done, once: trained, compared with what serves, rolled out, read back"
kubectl wait "rreq/$request" -n "$namespace" --for=jsonpath='{.status.phase}'=Executed --timeout=300s >/dev/null
run kubectl get rreq "$request" -n "$namespace"
kubectl get rreq "$request" -n "$namespace" -o jsonpath='{.status.outcome}{"\n"}'
kubectl get mdep heart -n "$namespace" -o jsonpath='{.status.training.comparison}{"\n"}'
run kubectl get mdep heart -n "$namespace"

say "12. A new answer, and what it rests on: version, file, run, data, and who said yes"
kill $forward 2>/dev/null || true # it ended at a pod of the version before
kubectl port-forward -n "$namespace" service/heart-predictor "$port:80" >/dev/null &
forward=$!
answer=$(curl --silent --fail-with-body --retry 20 --retry-connrefused --retry-delay 1 "http://localhost:$port/v1/models/heart:predict" -d @request-v1.json)
echo "$answer"
answered=$(sed -E 's/.*"id":"([^"]+)".*/\1/' <<<"$answer")
# The request log is behind by a second or so: it never delays an answer.
deadline=$((SECONDS + 60))
until kubectl refit trace "$answered" -n "$namespace" >/dev/null 2>&1 || ((SECONDS > deadline)); do sleep 1; done
run kubectl refit trace "$answered" -n "$namespace"

say "13. What was done, on whose word, is in a record that can be verified, and in a report"
run kubectl refit audit list -n "$namespace"
run kubectl refit audit verify
# The first report is of what waited for a decision, the second of what came of it.
deadline=$((SECONDS + 180))
until kubectl get rreq "$request" -n "$namespace" -o jsonpath='{.status.reports}' | grep -q incident; do
    ((SECONDS < deadline)) || { echo "no report in time: kubectl describe mdep heart -n $namespace" >&2; exit 1; }
    sleep 1
done
run kubectl refit report heart -n "$namespace"

say "What to try next"
cat <<NEXT
  kubectl refit explain heart -n $namespace              # why it is as it is (make setup puts the plugin into .venv/bin)
  kubectl -n refit-system port-forward svc/refit-ui 8501   # the approval page; sign in with: kubectl create token NAME
  kubectl refit rollback heart -n $namespace             # asks for the version before; somebody else must say yes
  kubectl describe mdep heart -n $namespace              # conditions and events
  kubectl edit mdep heart -n $namespace                  # another candidate, another bound: it trains again and rolls over
  kubectl -n refit-system port-forward svc/mlflow 5000   # runs, plots and the model card in MLflow
  kubectl delete namespace $namespace
NEXT
