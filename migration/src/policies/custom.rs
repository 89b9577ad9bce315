//! The same for the records of a workspace's own objects, which share one table: how far a right
//! reaches depends on the row's object, so the objects of each reach are listed once for a statement.

use super::{TENANT, by_verb};

/// Own objects of which a right reaches what some bits say; the bits are those of `kith_reach`.
const FUNCTIONS: &str = r"
    CREATE FUNCTION kith_own_objects(verb int, bits int) RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
        AS $$ SELECT coalesce(array_agg(d.name), '{}') FROM object_definition d
              WHERE d.workspace_id = kith_workspace() AND kith_reach(d.name, verb) & bits > 0 $$;
    -- Records of own objects that were shared with the caller, whatever their object.
    CREATE FUNCTION kith_own_granted(verb int) RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE
        AS $$ SELECT coalesce(array_agg(x), '{}') FROM unnest(kith_own_objects(verb, 63)) o, unnest(kith_granted(o, verb)) x $$;
    CREATE FUNCTION kith_own_linked(verb int) RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE
        AS $$ SELECT CASE WHEN kith_person() IS NULL THEN '{}' ELSE
              (SELECT coalesce(array_agg(x), '{}') FROM unnest(kith_own_objects(verb, 16)) o, unnest(kith_linked(o, verb)) x) END $$;
    -- Whom the caller reaches by teams (level 1) and by the tree (level 2), themselves included.
    CREATE FUNCTION kith_reached_members(up_to int) RETURNS uuid[] LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
    DECLARE me uuid := kith_member();
    BEGIN
        IF me IS NULL THEN RETURN '{}'; END IF;
        RETURN array(SELECT me UNION ALL SELECT r.owner_id FROM member_reach r
            WHERE r.workspace_id = kith_workspace() AND r.viewer_id = me AND r.level <= up_to);
    END $$;
";

const DROPPED: &str = "
    DROP FUNCTION kith_reached_members(int); DROP FUNCTION kith_own_linked(int);
    DROP FUNCTION kith_own_granted(int); DROP FUNCTION kith_own_objects(int, int);";

/// Objects of which every record is visible: the standard ones, and a workspace's own.
fn open(own: bool) -> String {
    let own = if own { " UNION ALL SELECT d.name FROM object_definition d WHERE d.workspace_id = kith_workspace()" } else { "" };
    format!(
        "CREATE OR REPLACE FUNCTION kith_open() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
            AS $$ SELECT coalesce(array_agg(o), '{{}}') FROM (
                  SELECT unnest(ARRAY['member', 'company', 'person', 'pipeline', 'stage', 'deal', 'activity', 'note', 'tag', 'territory']) o{own}) x
                  WHERE kith_reach(o, 0) & 32 > 0 $$;"
    )
}

/// Statistics of the tables of records, and of some more.
pub fn analyze(more: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION kith_analyze() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
         BEGIN
             ANALYZE record, record_link, record_key, member, company, person, pipeline, stage, deal, activity, note, tag, territory{more};
         END $$;"
    )
}

fn rows(verb: u8) -> String {
    let by_owner = |bits: u8, level: u8| {
        format!(
            "(object = ANY ((SELECT kith_own_objects({verb}, {bits}))::text[]) AND owner_id = ANY ((SELECT kith_reached_members({level}))::uuid[]))"
        )
    };
    let options = [
        "(SELECT kith_all())".to_owned(),
        format!("object = ANY ((SELECT kith_own_objects({verb}, 32))::text[])"),
        by_owner(1, 0),
        by_owner(2, 1),
        by_owner(4, 2),
        format!("id = ANY ((SELECT kith_own_granted({verb}))::uuid[])"),
        format!("id = ANY ((SELECT kith_own_linked({verb}))::uuid[])"),
    ];
    format!("{TENANT} AND ({})", options.join(" OR "))
}

pub fn create() -> String {
    [FUNCTIONS.to_owned(), open(true), analyze(", custom_record"), by_verb("custom_record", &rows(0), &rows(1))].concat()
}

pub fn drop() -> String {
    let policies = ["reading", "inserting", "updating", "deleting"].map(|name| format!("DROP POLICY {name} ON custom_record;"));
    [policies.concat(), open(false), analyze(""), DROPPED.to_owned()].concat()
}
