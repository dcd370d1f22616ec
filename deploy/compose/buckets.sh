# Makes the buckets of Rowcast and MLflow, unless they are there.
set -eu
for name in rowcast mlflow; do
    status=$(printf 'user = "%s:%s"\n' "$name" "$(cat "/run/secrets/${name}_storage_secret_key")" |
        curl -sS -K - --aws-sigv4 aws:amz:us-east-1:s3 -X PUT -o /dev/null -w '%{http_code}' "http://seaweedfs:8333/$name")
    case $status in
        200 | 409) ;;
        *) echo "S3 answers $status when the bucket $name is made" >&2; exit 1 ;;
    esac
done
