#!/bin/sh
# A payment from start to refund with curl. Needs a stack that is up:
#
#   make up                                   (in another terminal)
#   sh examples/api/curl.sh URL KEY           (both as `python starter.py status --json` tells them)
set -eu
url=$1
key=$2
run=$(date +%s)-$$

post() {
    path=$1
    shift
    curl --fail-with-body --silent --show-error -X POST "$url$path" \
        -H "Authorization: Bearer $key" -H "Content-Type: application/json" "$@"
    echo
}

echo "Two accounts, and money for the first"
post /v1/accounts -d "{\"account_id\": \"ann-$run\", \"user_id\": \"ann\", \"currency\": \"EUR\"}"
post /v1/accounts -d "{\"account_id\": \"bob-$run\", \"user_id\": \"bob\", \"currency\": \"EUR\"}"
post "/v1/accounts/ann-$run/deposits" -d '{"amount": "100.00", "currency": "EUR"}'

echo "A payment, held; the second time is the first one again (see Idempotency-Replayed)"
for _ in 1 2; do
    post /v1/payments -i -H "Idempotency-Key: order-$run" \
        -d "{\"payment_id\": \"pay-$run\", \"from_account\": \"ann-$run\", \"to_account\": \"bob-$run\",
             \"amount\": \"25.00\", \"currency\": \"EUR\", \"capture\": \"manual\"}"
done

echo "Captured, then a part of it given back"
post "/v1/payments/pay-$run/capture"
post "/v1/payments/pay-$run/refunds" -d '{"amount": "5.00", "reason": "late"}' -D "${TMPDIR:-/tmp}/headers-$run"

echo "Read at the position of that write"
position=$(sed -n 's/^[Ee]vent-[Pp]osition: *\([0-9]*\).*/\1/p' "${TMPDIR:-/tmp}/headers-$run")
rm -f "${TMPDIR:-/tmp}/headers-$run"
curl --fail-with-body --silent "$url/v1/payments/pay-$run?min_position=$position" -H "Authorization: Bearer $key"
echo
