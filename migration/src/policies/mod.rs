//! PostgreSQL's row policies: what a caller's roles let through, repeated in the database.
//!
//! The server tells each transaction who asks: `kith.access` is `ALL` for whoever may see every
//! record (and for the server itself), else `kith.rights` has, for each object, how far reading
//! and writing reach, and `kith.member`, `kith.grantees`, `kith.territories` and `kith.person` say for whom. Nothing set
//! means nothing seen.
//!
//! Each condition that does not depend on the row stands in a sub-select of its own, which
//! PostgreSQL runs at most once for a statement, and only when it is needed: for most callers the
//! first one is the only one.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

pub mod custom;

/// Records that follow what they are linked to: whoever sees that, sees them.
const FOLLOWING: [&str; 2] = ["activity", "note"];

/// The tables of records.
const RECORDS: [&str; 10] = ["member", "company", "person", "pipeline", "stage", "deal", "activity", "note", "tag", "territory"];

/// Those that can lie in a territory.
const PLACED: [&str; 3] = ["company", "person", "deal"];

/// Tables whose rows belong to a record, and the columns that say to which. Links keep the workspace's
/// policy alone: a link says nothing of the records at its ends, which have policies of their own, and a
/// second look at both ends for every link made PostgreSQL plan hops of a filter badly.
const SIDE_TABLES: [(&str, &[&str]); 3] =
    [("record_key", &["record_id"]), ("field_index", &["record_id"]), ("search_entry", &["record_id"])];

pub const INVITATION_FUNCTION: &str = r#"
    CREATE FUNCTION kith_invitation() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
        AS $$ SELECT nullif(current_setting('kith.invitation', true), '') $$;
"#;

/// How far a right reaches, as bits: own 1, team 2, team tree 4, territory 8, linked 16, all 32.
const FUNCTIONS: &str = r#"
    CREATE FUNCTION kith_member() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
        AS $$ SELECT nullif(current_setting('kith.member', true), '')::uuid $$;
    CREATE FUNCTION kith_person() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
        AS $$ SELECT nullif(current_setting('kith.person', true), '')::uuid $$;
    CREATE FUNCTION kith_grantees() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE
        AS $$ SELECT coalesce(nullif(current_setting('kith.grantees', true), '')::uuid[], '{}') $$;
    CREATE FUNCTION kith_territories() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE
        AS $$ SELECT coalesce(nullif(current_setting('kith.territories', true), '')::uuid[], '{}') $$;
    CREATE FUNCTION kith_all() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
        AS $$ SELECT coalesce(current_setting('kith.access', true), '') = 'ALL' $$;
    -- verb 0 reads, 1 writes
    CREATE FUNCTION kith_reach(object text, verb int) RETURNS int LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
    DECLARE rights jsonb;
    BEGIN
        IF kith_all() THEN RETURN 32; END IF;
        rights := nullif(current_setting('kith.rights', true), '')::jsonb;
        RETURN coalesce((coalesce(rights -> object, rights -> '*') ->> verb)::int, 0);
    END $$;
    CREATE FUNCTION kith_owners(object text, verb int) RETURNS uuid[] LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
    DECLARE reach int := kith_reach(object, verb); me uuid := kith_member();
    BEGIN
        IF me IS NULL OR reach & 7 = 0 THEN RETURN '{}'; END IF;
        RETURN array(SELECT me UNION ALL SELECT r.owner_id FROM member_reach r
            WHERE r.workspace_id = kith_workspace() AND r.viewer_id = me
              AND r.level <= CASE WHEN reach & 4 > 0 THEN 2 WHEN reach & 2 > 0 THEN 1 ELSE 0 END);
    END $$;
    CREATE FUNCTION kith_placed(object text, verb int) RETURNS uuid[] LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
    BEGIN
        IF kith_reach(object, verb) & 8 = 0 THEN RETURN '{}'; END IF;
        RETURN kith_territories();
    END $$;
    CREATE FUNCTION kith_granted(object text, verb int) RETURNS uuid[] LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
    BEGIN
        IF kith_reach(object, verb) = 0 THEN RETURN '{}'; END IF;
        RETURN array(SELECT g.record_id FROM record_grant g
            WHERE g.workspace_id = kith_workspace() AND g.grantee_id = ANY (kith_grantees()) AND g.object = $1 AND (verb = 0 OR g.may_edit)
              AND (g.expires_at IS NULL OR g.expires_at > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint));
    END $$;
    -- What a portal user's own person and companies lead to.
    CREATE FUNCTION kith_own_ends(object text, verb int) RETURNS uuid[] LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public AS $$
    DECLARE me uuid := kith_person();
    BEGIN
        IF me IS NULL OR kith_reach(object, verb) & 16 = 0 THEN RETURN '{}'; END IF;
        RETURN array(SELECT me UNION ALL SELECT l.from_id FROM record_link l
            WHERE l.workspace_id = kith_workspace() AND l.kind = 'company_person' AND l.to_id = me);
    END $$;
    CREATE FUNCTION kith_linked(object text, verb int) RETURNS uuid[] LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public AS $$
    DECLARE ends uuid[] := kith_own_ends(object, verb);
    BEGIN
        IF ends = '{}' THEN RETURN '{}'; END IF;
        IF object IN ('person', 'company') THEN RETURN ends; END IF;
        RETURN array(
            SELECT l.from_id FROM record_link l WHERE l.workspace_id = kith_workspace() AND l.to_id = ANY (ends)
            UNION SELECT l.to_id FROM record_link l WHERE l.workspace_id = kith_workspace() AND l.from_id = ANY (ends)
            UNION SELECT d.id FROM deal d WHERE object = 'deal' AND d.workspace_id = kith_workspace() AND d.company_id = ANY (ends));
    END $$;
    CREATE FUNCTION kith_sees(object text, id uuid, owner uuid, territory uuid, verb int) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public AS $$
    DECLARE reach int := kith_reach(object, verb);
    BEGIN
        IF reach & 32 > 0 THEN RETURN true; END IF;
        -- Everybody sees the member that they are.
        IF verb = 0 AND object = 'member' AND id = kith_member() THEN RETURN true; END IF;
        IF reach = 0 THEN RETURN false; END IF;
        RETURN coalesce(owner = ANY (kith_owners(object, verb)), false) OR coalesce(territory = ANY (kith_placed(object, verb)), false) OR id = ANY (kith_granted(object, verb))
            OR (reach & 16 > 0 AND id = ANY (kith_linked(object, verb)));
    END $$;
    -- Fresh statistics after many records were written at once; only the tables' owner may take them.
    CREATE FUNCTION kith_analyze() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
    BEGIN
        ANALYZE record, record_link, record_key, member, company, person, pipeline, stage, deal, activity, note, tag, territory;
    END $$;
    -- Objects of which every record is visible.
    CREATE FUNCTION kith_open() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
        AS $$ SELECT coalesce(array_agg(o), '{}') FROM unnest(ARRAY['member', 'company', 'person', 'pipeline', 'stage', 'deal', 'activity', 'note', 'tag', 'territory']) o
              WHERE kith_reach(o, 0) & 32 > 0 $$;
    -- Links that lead to something visible. A view, not a function: it becomes part of the statement's
    -- plan, and it reads with its owner's right, because what follows a link is judged by the other end.
    CREATE VIEW kith_visible_link AS
        SELECT l.workspace_id, l.from_id, l.kind FROM record_link l JOIN record r ON r.workspace_id = l.workspace_id AND r.id = l.to_id
        WHERE l.workspace_id = kith_workspace() AND r.deleted_at IS NULL
          AND (r.object = ANY ((SELECT kith_open())::text[]) OR kith_sees(r.object, r.id, r.owner_id, r.territory_id, 0));
"#;

const DROPPED: &str = "DROP FUNCTION kith_analyze(); DROP VIEW kith_visible_link; DROP FUNCTION kith_open(); DROP FUNCTION kith_sees(text, uuid, uuid, uuid, int); DROP FUNCTION kith_linked(text, int);
    DROP FUNCTION kith_own_ends(text, int); DROP FUNCTION kith_granted(text, int); DROP FUNCTION kith_placed(text, int); DROP FUNCTION kith_owners(text, int);
    DROP FUNCTION kith_reach(text, int); DROP FUNCTION kith_all(); DROP FUNCTION kith_grantees(); DROP FUNCTION kith_territories(); DROP FUNCTION kith_person(); DROP FUNCTION kith_member();";

const TENANT: &str = "workspace_id = kith_workspace()";

/// The rows of a table of records that a right reaches.
fn rows_of(object: &str, verb: u8) -> String {
    let mut options = vec![
        "(SELECT kith_all())".to_owned(),
        format!("(SELECT kith_reach('{object}', {verb}) & 32 > 0)"),
        format!("owner_id = ANY ((SELECT kith_owners('{object}', {verb}))::uuid[])"),
        format!("id = ANY ((SELECT kith_granted('{object}', {verb}))::uuid[])"),
        format!("id = ANY ((SELECT kith_linked('{object}', {verb}))::uuid[])"),
    ];
    if PLACED.contains(&object) {
        options.push(format!("territory_id = ANY ((SELECT kith_placed('{object}', {verb}))::uuid[])"));
    }
    if verb == 0 && object == "member" {
        options.push("id = (SELECT kith_member())".to_owned());
    }
    if verb == 0 && FOLLOWING.contains(&object) {
        options.push(follows(object, object));
    }
    format!("{TENANT} AND ({})", options.join(" OR "))
}

/// Whether the row follows a link to something visible, and the caller has a right by ownership at all.
/// A scalar sub-select: an EXISTS would be hashed, all links of the workspace for a page of twenty.
fn follows(table: &str, object: &str) -> String {
    format!(
        "((SELECT kith_reach('{object}', 0) & 7 > 0) AND coalesce((SELECT true FROM kith_visible_link v \
         WHERE v.workspace_id = {table}.workspace_id AND v.from_id = {table}.id AND v.kind = '{object}_link' LIMIT 1), false))"
    )
}

/// Replaces a table's policy by one for each verb. What is inserted is checked for the workspace:
/// whether the caller may create is no property of the row.
fn by_verb(table: &str, read: &str, write: &str) -> String {
    format!(
        "DROP POLICY tenant ON {table};
         CREATE POLICY reading ON {table} FOR SELECT USING ({read});
         CREATE POLICY inserting ON {table} FOR INSERT WITH CHECK ({TENANT});
         CREATE POLICY updating ON {table} FOR UPDATE USING ({write}) WITH CHECK ({TENANT});
         CREATE POLICY deleting ON {table} FOR DELETE USING ({write});"
    )
}

pub async fn create(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    db.execute_unprepared(FUNCTIONS).await?;
    for table in RECORDS {
        db.execute_unprepared(&by_verb(table, &rows_of(table, 0), &rows_of(table, 1))).await?;
    }
    let spine = |verb: u8| {
        let mut options = vec!["(SELECT kith_all())".to_owned()];
        if verb == 0 {
            options.push("object = ANY ((SELECT kith_open())::text[])".into());
            options.extend(FOLLOWING.map(|object| format!("(object = '{object}' AND {})", follows("record", object))));
        }
        options.push(format!("kith_sees(object, id, owner_id, territory_id, {verb})"));
        format!("{TENANT} AND ({})", options.join(" OR "))
    };
    db.execute_unprepared(&by_verb("record", &spine(0), &spine(1))).await?;
    for (table, columns) in SIDE_TABLES {
        let visible: Vec<String> = columns
            .iter()
            .map(|column| {
                format!("EXISTS (SELECT 1 FROM record r WHERE r.workspace_id = {table}.workspace_id AND r.id = {table}.{column})")
            })
            .collect();
        let rows = format!("{TENANT} AND ((SELECT kith_all()) OR ({}))", visible.join(" AND "));
        db.execute_unprepared(&by_verb(table, &rows, &rows)).await?;
    }
    // The log is only ever appended to; what it tells of a record is for those who see the record.
    let log = format!(
        "DROP POLICY tenant ON change_log;
         CREATE POLICY reading ON change_log FOR SELECT USING ({TENANT} AND ((SELECT kith_all()) OR EXISTS
             (SELECT 1 FROM record r WHERE r.workspace_id = change_log.workspace_id AND r.id = change_log.record_id)));
         CREATE POLICY inserting ON change_log FOR INSERT WITH CHECK ({TENANT});"
    );
    db.execute_unprepared(&log).await?;
    Ok(())
}

pub async fn drop(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let side = SIDE_TABLES.iter().map(|(table, _)| *table);
    for table in RECORDS.into_iter().chain(["record"]).chain(side).chain(["change_log"]) {
        let sql = format!(
            "DROP POLICY reading ON {table}; DROP POLICY inserting ON {table};
             DROP POLICY IF EXISTS updating ON {table}; DROP POLICY IF EXISTS deleting ON {table};
             CREATE POLICY tenant ON {table} USING ({TENANT}) WITH CHECK ({TENANT});"
        );
        db.execute_unprepared(&sql).await?;
    }
    db.execute_unprepared(DROPPED).await?;
    Ok(())
}
