# Makes the certificate that nginx shows, signed by nobody, unless there is one: tls.crt and tls.key in the folder.
set -eu
cd /var/lib/rowcast
[ ! -s tls.crt ] || [ ! -s tls.key ] || exit 0
host=${PUBLIC_URL#*://}
host=${host%%:*}
umask 077
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -keyout tls.key -out tls.crt \
    -subj "/CN=$host" -addext "subjectAltName=DNS:$host,DNS:localhost,IP:127.0.0.1"
