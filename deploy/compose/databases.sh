# A database and a user of their own for Rowcast and for MLflow. PostgreSQL's image runs it when it makes its data.
for name in rowcast mlflow; do
    psql --set=ON_ERROR_STOP=1 --quiet --username=postgres --dbname=postgres <<SQL
\\set password \`cat /run/secrets/postgres_${name}_password\`
CREATE ROLE $name LOGIN PASSWORD :'password';
CREATE DATABASE $name OWNER $name ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE $name FROM PUBLIC;
SQL
done
