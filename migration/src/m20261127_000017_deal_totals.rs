//! Running totals of the deals in each stage: how many there are, and what they come to.
//!
//! A board asks for the count and the sum of every column, of all deals. They are kept here by triggers, so that whatever
//! writes deals (the server, a script of the database's owner) keeps them right in the same transaction.
//!
//! PostgreSQL appends a row for each change, because writers that add to one row wait for each other until they commit.
//! Now and then a writer puts the rows of its workspace together; rows that another one is busy with are left to the next. SQLite
//! has one writer at a time, who adds to the row.
//!
//! An amount is kept in two halves, its upper and its lower 32 bits: their sums cannot overflow.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::ddl::{self, Table};

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[Table] = &[Table::new("deal_total", DEAL_TOTAL)];

/// `currency` is empty for deals without an amount, and `XXX` if one has no currency, which the server does not write. What a stage comes to is the sum of all its parts.
const DEAL_TOTAL: &str = r#"
CREATE TABLE deal_total (
    workspace_id UUID NOT NULL,
    stage_id UUID NOT NULL,
    pipeline_id UUID NOT NULL,
    currency TEXT NOT NULL,
    part BIGINT NOT NULL,
    records BIGINT NOT NULL,
    high BIGINT NOT NULL,
    low BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, stage_id, pipeline_id, currency, part),
    FOREIGN KEY (workspace_id) REFERENCES workspace (id)
);
"#;

/// Counts every deal there is.
const FILL: &str = r#"
    INSERT INTO deal_total (workspace_id, stage_id, pipeline_id, currency, part, records, high, low)
        SELECT workspace_id, stage_id, pipeline_id, CASE WHEN amount IS NULL THEN '' ELSE coalesce(amount_currency, 'XXX') END, 0,
            count(*), coalesce(sum(amount >> 32), 0), coalesce(sum(amount & 4294967295), 0)
        FROM deal WHERE deleted_at IS NULL GROUP BY 1, 2, 3, 4;
"#;

/// Only the triggers write; who may see every deal reads. Who fills the table keeps others from writing deals meanwhile:
/// they would be counted by nobody, or twice. Parts are put together once in a transaction at most, because those that it
/// took itself stay in the index until it ends.
const POSTGRES: &str = r#"
    CREATE SEQUENCE deal_total_part;
    ALTER TABLE deal_total SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
    DROP POLICY tenant ON deal_total;
    CREATE POLICY reading ON deal_total FOR SELECT
        USING (workspace_id = kith_workspace() AND ((SELECT kith_all()) OR (SELECT kith_reach('deal', 0) & 32 > 0)));
    CREATE FUNCTION kith_put_totals_together(workspace uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    BEGIN
        -- A snapshot that is older than the statement may hold parts that are gone.
        IF current_setting('transaction_isolation') <> 'read committed' OR current_setting('kith.totals_together', true) = 'done' THEN RETURN; END IF;
        PERFORM set_config('kith.totals_together', 'done', true);
        WITH taken AS (
            DELETE FROM deal_total t
                WHERE t.ctid = ANY (ARRAY (SELECT f.ctid FROM deal_total f WHERE f.workspace_id = workspace FOR UPDATE SKIP LOCKED))
                RETURNING t.*)
        INSERT INTO deal_total (workspace_id, stage_id, pipeline_id, currency, part, records, high, low)
            SELECT workspace, t.stage_id, t.pipeline_id, t.currency, nextval('deal_total_part'), sum(t.records), sum(t.high), sum(t.low)
            FROM taken t GROUP BY t.stage_id, t.pipeline_id, t.currency
            HAVING sum(t.records) <> 0 OR sum(t.high) <> 0 OR sum(t.low) <> 0;
    END $$;
    REVOKE EXECUTE ON FUNCTION kith_put_totals_together(uuid) FROM PUBLIC;
    REVOKE EXECUTE ON FUNCTION kith_count_deals_again() FROM PUBLIC;
    CREATE FUNCTION kith_total_new_deals() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DECLARE turn uuid;
    BEGIN
        WITH appended AS (
            INSERT INTO deal_total (workspace_id, stage_id, pipeline_id, currency, part, records, high, low)
                SELECT workspace_id, stage_id, pipeline_id, CASE WHEN amount IS NULL THEN '' ELSE coalesce(amount_currency, 'XXX') END,
                    nextval('deal_total_part'), count(*), coalesce(sum(amount >> 32), 0), coalesce(sum(amount & 4294967295), 0)
                FROM made WHERE deleted_at IS NULL GROUP BY 1, 2, 3, 4
                RETURNING workspace_id, part)
        SELECT workspace_id INTO turn FROM appended WHERE part % 64 = 0 LIMIT 1;
        IF turn IS NOT NULL THEN PERFORM kith_put_totals_together(turn); END IF;
        RETURN NULL;
    END $$;
    CREATE FUNCTION kith_total_changed_deal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DECLARE turn boolean;
    BEGIN
        WITH both_sides (times, stage_id, pipeline_id, amount, currency) AS (
            SELECT -1, OLD.stage_id, OLD.pipeline_id, OLD.amount, OLD.amount_currency WHERE OLD.deleted_at IS NULL
            UNION ALL SELECT 1, NEW.stage_id, NEW.pipeline_id, NEW.amount, NEW.amount_currency WHERE TG_OP = 'UPDATE' AND NEW.deleted_at IS NULL
        ), appended AS (
            INSERT INTO deal_total (workspace_id, stage_id, pipeline_id, currency, part, records, high, low)
                SELECT OLD.workspace_id, stage_id, pipeline_id, CASE WHEN amount IS NULL THEN '' ELSE coalesce(currency, 'XXX') END,
                    nextval('deal_total_part'), sum(times), coalesce(sum(times * (amount >> 32)), 0), coalesce(sum(times * (amount & 4294967295)), 0)
                FROM both_sides GROUP BY 2, 3, 4
                RETURNING part)
        SELECT bool_or(part % 64 = 0) INTO turn FROM appended;
        IF turn THEN PERFORM kith_put_totals_together(OLD.workspace_id); END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER deal_total_made AFTER INSERT ON deal REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION kith_total_new_deals();
    CREATE TRIGGER deal_total_changed AFTER UPDATE OF stage_id, pipeline_id, amount, amount_currency, deleted_at ON deal FOR EACH ROW
        WHEN ((OLD.stage_id, OLD.pipeline_id, OLD.amount, OLD.amount_currency, OLD.deleted_at IS NULL)
            IS DISTINCT FROM (NEW.stage_id, NEW.pipeline_id, NEW.amount, NEW.amount_currency, NEW.deleted_at IS NULL))
        EXECUTE FUNCTION kith_total_changed_deal();
    CREATE TRIGGER deal_total_gone AFTER DELETE ON deal FOR EACH ROW WHEN (OLD.deleted_at IS NULL) EXECUTE FUNCTION kith_total_changed_deal();
"#;

const POSTGRES_DOWN: &str = r#"
    DROP TRIGGER deal_total_made ON deal; DROP TRIGGER deal_total_changed ON deal; DROP TRIGGER deal_total_gone ON deal;
    DROP FUNCTION kith_total_new_deals(); DROP FUNCTION kith_total_changed_deal(); DROP FUNCTION kith_put_totals_together(uuid);
    DROP FUNCTION kith_count_deals_again();
    DROP SEQUENCE deal_total_part;
"#;

/// Adds a deal to the totals, or takes it away.
fn count(row: &str, times: &str) -> String {
    format!(
        "INSERT INTO deal_total (workspace_id, stage_id, pipeline_id, currency, part, records, high, low)
            SELECT {row}.workspace_id, {row}.stage_id, {row}.pipeline_id, CASE WHEN {row}.amount IS NULL THEN '' ELSE coalesce({row}.amount_currency, 'XXX') END, 0,
                {times}1, {times}coalesce({row}.amount >> 32, 0), {times}coalesce({row}.amount & 4294967295, 0)
            WHERE {row}.deleted_at IS NULL
            ON CONFLICT (workspace_id, stage_id, pipeline_id, currency, part)
            DO UPDATE SET records = records + excluded.records, high = high + excluded.high, low = low + excluded.low;"
    )
}

fn sqlite() -> [String; 3] {
    let (added, taken) = (count("new", ""), count("old", "-"));
    [
        format!("CREATE TRIGGER deal_total_made AFTER INSERT ON deal BEGIN {added} END"),
        format!(
            "CREATE TRIGGER deal_total_changed AFTER UPDATE OF stage_id, pipeline_id, amount, amount_currency, deleted_at ON deal
                WHEN (old.stage_id, old.pipeline_id, old.amount, old.amount_currency, old.deleted_at IS NULL)
                    IS NOT (new.stage_id, new.pipeline_id, new.amount, new.amount_currency, new.deleted_at IS NULL)
             BEGIN {taken} {added} END"
        ),
        format!("CREATE TRIGGER deal_total_gone AFTER DELETE ON deal BEGIN {taken} END"),
    ]
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        if db.get_database_backend() == DbBackend::Postgres {
            // First of all: what somebody is still writing is not seen yet, and has no triggers.
            db.execute_unprepared("LOCK TABLE deal IN SHARE ROW EXCLUSIVE MODE").await?;
            ddl::create(manager, TABLES).await?;
            let again = format!(
                "CREATE FUNCTION kith_count_deals_again() RETURNS void LANGUAGE plpgsql AS $$
                 BEGIN
                     LOCK TABLE deal IN SHARE ROW EXCLUSIVE MODE;
                     DELETE FROM deal_total; {FILL}
                 END $$;"
            );
            db.execute_unprepared(&again).await?;
            db.execute_unprepared(POSTGRES).await?;
            db.execute_unprepared("SELECT kith_count_deals_again()").await?;
            return Ok(());
        }
        ddl::create(manager, TABLES).await?;
        db.execute_unprepared(FILL).await?;
        for trigger in sqlite() {
            db.execute_unprepared(&trigger).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        if db.get_database_backend() == DbBackend::Postgres {
            db.execute_unprepared(POSTGRES_DOWN).await?;
        } else {
            for trigger in ["deal_total_made", "deal_total_changed", "deal_total_gone"] {
                db.execute_unprepared(&format!("DROP TRIGGER {trigger}")).await?;
            }
        }
        ddl::drop(manager, TABLES).await
    }
}
