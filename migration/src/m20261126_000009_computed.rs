//! What computed fields are reckoned with on PostgreSQL; SQLite gets the same functions from the server.
//!
//! Numbers are integers, whole or in units of 1/10,000. What does not fit, or divides by zero, is null.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

const FUNCTIONS: &str = r"
    CREATE FUNCTION kith_fits(n numeric) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
    BEGIN
        IF abs(n) > 9223372036854775807 THEN RETURN NULL; END IF;
        RETURN n::bigint;
    END $$;
    CREATE FUNCTION kith_plus(a bigint, b bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
        AS $$ SELECT kith_fits(a::numeric + b) $$;
    CREATE FUNCTION kith_minus(a bigint, b bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
        AS $$ SELECT kith_fits(a::numeric - b) $$;
    -- a * b / c, rounded half to even.
    CREATE FUNCTION kith_muldiv(a numeric, b numeric, c numeric) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
    DECLARE n numeric := a * b; d numeric := c; q numeric; r numeric;
    BEGIN
        IF d = 0 THEN RETURN NULL; END IF;
        IF d = 1 THEN RETURN kith_fits(n); END IF;
        IF d < 0 THEN n := -n; d := -d; END IF;
        q := div(n, d);
        r := n - q * d;
        IF r < 0 THEN q := q - 1; r := r + d; END IF;
        IF 2 * r > d OR 2 * r = d AND q % 2 <> 0 THEN q := q + 1; END IF;
        RETURN kith_fits(q);
    END $$;
    -- The whole number below, of units of 1/10,000.
    CREATE FUNCTION kith_floor(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
        AS $$ SELECT floor(n::numeric / 10000)::bigint $$;
    -- Months that are too short end with their last day; only the years 1 to 9999 have days.
    CREATE FUNCTION kith_later(day date, days bigint, months bigint) RETURNS date LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
    DECLARE moved date;
    BEGIN
        IF abs(days) > 3660000 OR abs(months) > 120000 THEN RETURN NULL; END IF;
        moved := (day + make_interval(months => months::int, days => days::int))::date;
        IF moved < date '0001-01-01' OR moved > date '9999-12-31' THEN RETURN NULL; END IF;
        RETURN moved;
    EXCEPTION WHEN datetime_field_overflow THEN RETURN NULL;
    END $$;
";

const DROPPED: &str = "
    DROP FUNCTION kith_later(date, bigint, bigint); DROP FUNCTION kith_floor(bigint); DROP FUNCTION kith_muldiv(numeric, numeric, numeric);
    DROP FUNCTION kith_minus(bigint, bigint); DROP FUNCTION kith_plus(bigint, bigint); DROP FUNCTION kith_fits(numeric);";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, FUNCTIONS).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, DROPPED).await
    }
}

async fn run(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Postgres {
        manager.get_connection().execute_unprepared(sql).await?;
    }
    Ok(())
}
