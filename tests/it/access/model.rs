//! Random roles, teams, territories, shares and records: what the engine returns, which fields of it and
//! what it refuses is what a model in memory says, on SQLite, on PostgreSQL, and on PostgreSQL with its
//! policies alone.
//!
//! `KITH_CASES` sets how many random offices each test builds; `KITH_SEED` where they begin.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::{Actor, Server};

/// A small generator of numbers, the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

const OBJECTS: [&str; 5] = ["company", "person", "deal", "note", "task"];
/// The rights on objects are the activity's, whose type a task is.
fn rights_of(object: &str) -> &str {
    if object == "task" { "activity" } else { object }
}

/// Ways to a record, as bits: a scope is a set of them, so that roles add up by union and restrictions
/// cut by intersection.
const OWN: u8 = 1;
const TEAM: u8 = 1 | 2;
const TREE: u8 = 1 | 2 | 4;
const TERRITORY: u8 = 8;
const LINKED: u8 = 16;
const ALL: u8 = 63;
const SCOPES: [(&str, u8); 6] =
    [("OWN", OWN), ("TEAM", TEAM), ("TEAM_TREE", TREE), ("TERRITORY", TERRITORY), ("LINKED", LINKED), ("ALL", ALL)];

/// How much of `Deal.description` is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Sight {
    #[default]
    Hidden,
    Masked,
    Full,
}

#[derive(Clone, Debug, Default)]
struct Rights {
    read: u8,
    update: u8,
    /// Of a deal's description.
    sight: Sight,
}

struct Record {
    object: &'static str,
    id: String,
    owner: usize,
    /// The company of a deal; what a note or task is about.
    company: Option<usize>,
    about: Vec<usize>,
    /// The companies where a person works.
    works_at: Vec<usize>,
    territory: Option<usize>,
}

#[derive(Default)]
struct Office {
    /// Team: parent, members.
    teams: Vec<(Option<usize>, BTreeSet<usize>)>,
    managers: Vec<Option<usize>>,
    /// By member and object.
    rights: Vec<BTreeMap<&'static str, Rights>>,
    records: Vec<Record>,
    /// Record, member or team (1,000 and up), may edit.
    shares: Vec<(usize, usize, bool)>,
    /// Territory: parent, members.
    territories: Vec<(Option<usize>, BTreeSet<usize>)>,
    /// The person that a member is.
    persons: Vec<Option<usize>>,
}

impl Office {
    fn below(&self, team: usize) -> BTreeSet<usize> {
        let children = (0..self.teams.len()).filter(|child| self.teams[*child].0 == Some(team));
        children.flat_map(|child| std::iter::once(child).chain(self.below(child))).collect()
    }

    fn reports(&self, member: usize) -> BTreeSet<usize> {
        let direct = (0..self.managers.len()).filter(|report| self.managers[*report] == Some(member));
        direct.flat_map(|report| std::iter::once(report).chain(self.reports(report))).collect()
    }

    fn owners(&self, member: usize, reach: u8) -> BTreeSet<usize> {
        let mut owners = BTreeSet::new();
        if reach & OWN == 0 {
            return owners;
        }
        owners.insert(member);
        let own: Vec<usize> = (0..self.teams.len()).filter(|team| self.teams[*team].1.contains(&member)).collect();
        if reach & 2 > 0 {
            owners.extend(own.iter().flat_map(|team| self.teams[*team].1.clone()));
        }
        if reach & 4 > 0 {
            owners.extend(own.iter().flat_map(|team| self.below(*team)).flat_map(|team| self.teams[team].1.clone()));
            owners.extend(self.reports(member));
        }
        owners
    }

    /// Whether a record lies in a territory of the member's, or below one.
    fn placed(&self, member: usize, record: usize) -> bool {
        let mut at = self.records[record].territory;
        while let Some(territory) = at {
            let (parent, members) = &self.territories[territory];
            if members.contains(&member) {
                return true;
            }
            at = *parent;
        }
        false
    }

    /// Whether a record is linked to the person that the member is, or to that person's companies.
    fn linked(&self, member: usize, record: usize) -> bool {
        let Some(person) = self.persons[member] else { return false };
        let ends: Vec<usize> = std::iter::once(person).chain(self.records[person].works_at.iter().copied()).collect();
        let it = &self.records[record];
        match it.object {
            "person" | "company" => ends.contains(&record),
            "deal" => it.company.is_some_and(|company| ends.contains(&company)),
            _ => it.about.iter().any(|other| ends.contains(other)),
        }
    }

    fn shared(&self, member: usize, record: usize, edit: bool) -> bool {
        let is_for = |grantee: usize| if grantee >= 1_000 { self.teams[grantee - 1_000].1.contains(&member) } else { grantee == member };
        self.shares.iter().any(|(of, grantee, may_edit)| *of == record && is_for(*grantee) && (*may_edit || !edit))
    }

    fn reached(&self, member: usize, record: usize, reach: u8, edit: bool) -> bool {
        reach == ALL
            || self.owners(member, reach).contains(&self.records[record].owner)
            || reach & TERRITORY > 0 && self.placed(member, record)
            || reach & LINKED > 0 && self.linked(member, record)
            || reach > 0 && self.shared(member, record, edit)
    }

    fn by_itself(&self, member: usize, record: usize) -> bool {
        self.reached(member, record, self.rights[member][rights_of(self.records[record].object)].read, false)
    }

    fn sees(&self, member: usize, record: usize) -> bool {
        let it = &self.records[record];
        let follows = matches!(it.object, "note" | "task") && self.rights[member][rights_of(it.object)].read & OWN > 0;
        self.by_itself(member, record) || follows && it.about.iter().any(|other| self.by_itself(member, *other))
    }

    fn changes(&self, member: usize, record: usize) -> bool {
        let reach = self.rights[member][rights_of(self.records[record].object)].update;
        self.reached(member, record, reach, true) && self.sees(member, record)
    }
}

const MEMBERS: usize = 5;

/// Builds a random office, in the model and on the server.
async fn build<'a>(server: &'a Server, dice: &mut Dice) -> (Office, Vec<Actor<'a>>) {
    let admin = server.admin().await;
    let mut office = Office::default();
    let mut actors = Vec::new();
    let mut ids = Vec::new();
    for member in 0..MEMBERS {
        let manager = (member > 0 && dice.one_in(2)).then(|| dice.below(member));
        office.managers.push(manager);
        let more = manager.map_or_else(|| json!({}), |manager: usize| json!({ "managerId": ids[manager] }));
        let actor = server.member_with(&admin, &format!("M{member}"), "READ_ONLY", more).await;
        ids.push(actor.id().await);
        actors.push(actor);
    }
    let mut teams: Vec<String> = Vec::new();
    for team in 0..3 {
        let parent = (team > 0 && dice.one_in(2)).then(|| dice.below(team));
        let members: BTreeSet<usize> = (0..MEMBERS).filter(|_| dice.one_in(3)).collect();
        let input = json!({ "name": format!("T{team}"), "parentId": parent.map(|parent: usize| teams[parent].clone()),
            "members": members.iter().map(|member| json!({ "member": ids[*member] })).collect::<Vec<_>>() });
        let create = "mutation($input: CreateTeamInput!) { createTeam(input: $input) { team { id } userErrors { message } } }";
        let made = admin.ask_with(create, json!({ "input": input })).await["createTeam"].take();
        teams.push(made["team"]["id"].as_str().unwrap().to_owned());
        office.teams.push((parent, members));
    }
    let mut territories: Vec<String> = Vec::new();
    for territory in 0..4 {
        let parent = (territory > 0 && dice.one_in(2)).then(|| dice.below(territory));
        let members: BTreeSet<usize> = (0..MEMBERS).filter(|_| dice.one_in(4)).collect();
        let mut input = json!({ "name": format!("T{territory}") });
        input["members"] = json!({ "connect": members.iter().map(|member| json!({ "id": ids[*member] })).collect::<Vec<_>>() });
        if let Some(parent) = parent {
            input["parent"] = json!({ "id": territories[parent] });
        }
        territories.push(admin.create("territory", input).await);
        office.territories.push((parent, members));
    }
    make_records(&admin, &mut office, dice, &ids, &territories).await;
    for id in &ids {
        let persons: Vec<usize> = (0..office.records.len()).filter(|record| office.records[*record].object == "person").collect();
        let person = (!persons.is_empty() && dice.one_in(2)).then(|| persons[dice.below(persons.len())]);
        if let Some(person) = person {
            let done = admin.update("member", id, json!({ "person": { "id": office.records[person].id } })).await;
            assert_eq!(done["userErrors"], json!([]));
        }
        office.persons.push(person);
    }
    for (member, id) in ids.iter().enumerate() {
        give_roles(&admin, &mut office, dice, member, id).await;
    }
    for _ in 0..6 {
        let record = dice.below(office.records.len());
        let (grantee, id) = if dice.one_in(2) {
            let team = dice.below(3);
            (1_000 + team, teams[team].clone())
        } else {
            let member = dice.below(MEMBERS);
            (member, ids[member].clone())
        };
        if office.shares.iter().any(|(of, with, _)| (*of, *with) == (record, grantee)) {
            continue;
        }
        let edit = dice.one_in(2);
        let share = "mutation($input: ShareRecordInput!) { shareRecord(input: $input) { userErrors { message } } }";
        let input = json!({ "record": office.records[record].id, "grantee": id, "level": if edit { "EDIT" } else { "READ" } });
        assert_eq!(admin.ask_with(share, json!({ "input": input })).await["shareRecord"]["userErrors"], json!([]));
        office.shares.push((record, grantee, edit));
    }
    (office, actors)
}

async fn make_records(admin: &Actor<'_>, office: &mut Office, dice: &mut Dice, ids: &[String], territories: &[String]) {
    for n in 0..24 {
        let object = if n < 5 { "company" } else { OBJECTS[1 + dice.below(4)] };
        let owner = dice.below(MEMBERS);
        let mut input = json!({ "owner": { "id": ids[owner] } });
        let name = match object {
            "person" => "lastName",
            "note" => "title",
            "task" => "subject",
            _ => "name",
        };
        input[name] = json!(format!("r{n:02}"));
        let mut record =
            Record { object, id: String::new(), owner, company: None, about: Vec::new(), works_at: Vec::new(), territory: None };
        if matches!(object, "company" | "person" | "deal") && dice.one_in(2) {
            let territory = dice.below(territories.len());
            input["territory"] = json!({ "id": territories[territory] });
            record.territory = Some(territory);
        }
        if object == "deal" {
            input["description"] = json!(format!("d{n:02}"));
        }
        if object == "person" {
            record.works_at = (0..5).filter(|_| dice.one_in(4)).collect();
            let companies: Vec<Value> = record.works_at.iter().map(|company| json!({ "id": office.records[*company].id })).collect();
            input["companies"] = json!({ "connect": companies });
        }
        if object == "deal" && dice.one_in(2) {
            let company = dice.below(5);
            input["company"] = json!({ "id": office.records[company].id });
            record.company = Some(company);
        }
        if matches!(object, "note" | "task") {
            record.about = (0..dice.below(3)).map(|_| dice.below(n)).collect::<BTreeSet<_>>().into_iter().collect();
            input["links"] =
                json!({ "connect": record.about.iter().map(|other| json!({ "id": office.records[*other].id })).collect::<Vec<_>>() });
        }
        record.id = admin.create(object, input).await;
        office.records.push(record);
    }
}

/// One or two random roles, which add up, and now and then one that restricts.
async fn give_roles(admin: &Actor<'_>, office: &mut Office, dice: &mut Dice, member: usize, id: &str) {
    let mut sum: BTreeMap<&'static str, Rights> = OBJECTS.iter().map(|object| (rights_of(object), Rights::default())).collect();
    let mut roles = Vec::new();
    for role in 0..1 + dice.below(2) {
        let mut objects = vec![
            json!({ "object": "PIPELINE", "read": ["ALL"] }),
            json!({ "object": "STAGE", "read": ["ALL"] }),
            json!({ "object": "MEMBER", "read": ["ALL"] }),
        ];
        let mut fields = Vec::new();
        for object in OBJECTS {
            let rights = sum.entry(rights_of(object)).or_default();
            if dice.one_in(6) {
                continue;
            }
            let (read, names) = scopes(dice);
            rights.read |= read;
            let mut spec = json!({ "object": rights_of(object).to_uppercase(), "read": names });
            if dice.one_in(2) {
                // What may be changed must be seen: some of the same scopes.
                let kept: Vec<&str> = names.iter().copied().filter(|_| dice.one_in(2)).collect();
                rights.update |= bits(&kept);
                spec["update"] = json!(kept);
            }
            objects.push(spec);
            if object == "deal" {
                let (sight, name) = [(Sight::Full, "FULL"), (Sight::Masked, "MASKED"), (Sight::Hidden, "HIDDEN")][dice.below(3)];
                rights.sight = rights.sight.max(sight);
                fields.push(json!({ "object": "DEAL", "field": "description", "sight": name }));
            }
        }
        roles.push(make_role(admin, json!({ "name": format!("role {member}.{role}"), "objects": objects, "fields": fields })).await);
    }
    let rights = sum.entry("deal").or_default();
    if rights.read == 0 {
        // Nothing is seen of deals, so nothing of their fields has to be hidden.
        rights.sight = Sight::Full;
    }
    if dice.one_in(3) {
        let (read, names) = scopes(dice);
        rights.read &= read;
        rights.update &= read;
        let mut input = json!({ "name": format!("bound {member}"), "restricts": true, "objects": [{ "object": "DEAL", "create": true, "read": names, "update": names }] });
        if dice.one_in(2) {
            rights.sight = rights.sight.min(Sight::Masked);
            input["fields"] = json!([{ "object": "DEAL", "field": "description", "sight": "MASKED" }]);
        }
        roles.push(make_role(admin, input).await);
    }
    let set = "mutation($holder: ID!, $roles: [ID!]!) { setRoles(input: { holder: $holder, roles: $roles }) { userErrors { message } } }";
    assert_eq!(admin.ask_with(set, json!({ "holder": id, "roles": roles })).await["setRoles"]["userErrors"], json!([]));
    office.rights.push(sum);
}

async fn make_role(admin: &Actor<'_>, input: Value) -> Value {
    let create = "mutation($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { path message } } }";
    let mut made = admin.ask_with(create, json!({ "input": input })).await["createRole"].take();
    assert_eq!(made["userErrors"], json!([]), "{input}");
    made["role"]["id"].take()
}

/// One or two random scopes.
fn scopes(dice: &mut Dice) -> (u8, Vec<&'static str>) {
    let names: Vec<&str> = (0..1 + dice.below(2)).map(|_| SCOPES[dice.below(SCOPES.len())].0).collect();
    (bits(&names), names)
}

fn bits(names: &[&str]) -> u8 {
    SCOPES.iter().filter(|(name, _)| names.contains(name)).fold(0, |sum, (_, bits)| sum | bits)
}

fn ids_of(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().filter(|node| !node.is_null()).map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

/// Compares everything that one member sees with the model.
async fn compare(office: &Office, member: usize, actor: &Actor<'_>, context: &str, writes: bool) {
    let visible = |object: &str| -> BTreeSet<String> {
        let these = (0..office.records.len()).filter(|record| office.records[*record].object == object && office.sees(member, *record));
        these.map(|record| office.records[record].id.clone()).collect()
    };
    let mut all = String::new();
    for record in &office.records {
        let _ = write!(all, "\"{}\" ", record.id);
    }
    let data = actor
        .ask(&format!(
            "{{ companies(first: 200) {{ totalCount nodes {{ id deals(first: 200) {{ totalCount nodes {{ id }} }} notes(first: 200) {{ nodes {{ id }} }} people(first: 200) {{ nodes {{ id }} }} }} }} \
             people(first: 200) {{ totalCount nodes {{ id }} }} \
             deals(first: 200, orderBy: [{{ company: {{ name: ASC }} }}]) {{ totalCount nodes {{ id description company {{ id }} viewerAccess {{ canUpdate }} }} }} \
             notes(first: 200) {{ totalCount nodes {{ id links(first: 200) {{ totalCount nodes {{ ... on Node {{ id }} }} }} }} }} \
             tasks(first: 200) {{ totalCount nodes {{ id }} }} \
             nodes(ids: [{all}]) {{ id }} \
             withDeals: companies(first: 200, filter: {{ deals: {{ some: {{}} }} }}) {{ nodes {{ id }} }} \
             withoutDeals: companies(first: 200, filter: {{ deals: {{ none: {{}} }} }}) {{ nodes {{ id }} }} \
             ofCompany: deals(first: 200, filter: {{ company: {{ isNull: false }} }}) {{ nodes {{ id }} }} }}"
        ))
        .await;
    for (plural, object) in [("companies", "company"), ("people", "person"), ("deals", "deal"), ("notes", "note"), ("tasks", "task")] {
        assert_eq!(ids_of(&data[plural]["nodes"]), visible(object), "{plural} {context}");
        assert_eq!(data[plural]["totalCount"], visible(object).len(), "count of {plural} {context}");
    }
    let every: BTreeSet<String> = OBJECTS.iter().flat_map(|object| visible(object)).collect();
    assert_eq!(ids_of(&data["nodes"]), every, "nodes {context}");
    let index = |id: &Value| office.records.iter().position(|record| record.id == id.as_str().unwrap()).unwrap();
    let deals_of = |company: usize| -> BTreeSet<String> {
        let these = (0..office.records.len()).filter(|deal| office.records[*deal].company == Some(company) && office.sees(member, *deal));
        these.map(|deal| office.records[deal].id.clone()).collect()
    };
    for company in data["companies"]["nodes"].as_array().unwrap() {
        let at = index(&company["id"]);
        assert_eq!(ids_of(&company["deals"]["nodes"]), deals_of(at), "deals of a company {context}");
        assert_eq!(company["deals"]["totalCount"], deals_of(at).len(), "count of deals of a company {context}");
        let notes =
            (0..office.records.len()).filter(|note| office.records[*note].object == "note" && office.records[*note].about.contains(&at));
        let notes: BTreeSet<String> = notes.filter(|note| office.sees(member, *note)).map(|note| office.records[note].id.clone()).collect();
        assert_eq!(ids_of(&company["notes"]["nodes"]), notes, "notes of a company {context}");
        let people =
            (0..office.records.len()).filter(|person| office.records[*person].works_at.contains(&at) && office.sees(member, *person));
        let people: BTreeSet<String> = people.map(|person| office.records[person].id.clone()).collect();
        assert_eq!(ids_of(&company["people"]["nodes"]), people, "people of a company {context}");
    }
    for deal in data["deals"]["nodes"].as_array().unwrap() {
        let at = index(&deal["id"]);
        let company = office.records[at]
            .company
            .filter(|company| office.sees(member, *company))
            .map(|company| json!({ "id": office.records[company].id }));
        assert_eq!(deal["company"], company.unwrap_or(Value::Null), "company of a deal {context}");
        let described = match office.rights[member]["deal"].sight {
            Sight::Full => json!(format!("d{at:02}")),
            Sight::Masked => json!("d***"),
            Sight::Hidden => Value::Null,
        };
        assert_eq!(deal["description"], described, "description of a deal {context}");
        if writes {
            assert_eq!(deal["viewerAccess"]["canUpdate"], office.changes(member, at), "canUpdate {context}");
        }
    }
    for note in data["notes"]["nodes"].as_array().unwrap() {
        let about = office.records[index(&note["id"])].about.iter().filter(|other| office.sees(member, **other));
        let about: BTreeSet<String> = about.map(|other| office.records[*other].id.clone()).collect();
        assert_eq!(ids_of(&note["links"]["nodes"]), about, "links of a note {context}");
        assert_eq!(note["links"]["totalCount"], about.len(), "count of links of a note {context}");
    }
    let by_description = actor.send("{ deals(filter: { description: { startsWith: \"d\" } }) { totalCount } }", json!({})).await;
    if office.rights[member]["deal"].sight == Sight::Full {
        assert_eq!(by_description["data"]["deals"]["totalCount"], visible("deal").len(), "filter by a field {context}");
    } else {
        assert_eq!(by_description["errors"][0]["extensions"]["code"], "FORBIDDEN", "filter by a field {context}");
    }
    let companies = visible("company");
    let with: BTreeSet<String> = companies.iter().filter(|id| !deals_of(index(&json!(id))).is_empty()).cloned().collect();
    assert_eq!(ids_of(&data["withDeals"]["nodes"]), with, "companies with deals {context}");
    assert_eq!(ids_of(&data["withoutDeals"]["nodes"]), companies.difference(&with).cloned().collect(), "companies without deals {context}");
    let of_company = (0..office.records.len())
        .filter(|deal| office.sees(member, *deal) && office.records[*deal].company.is_some_and(|company| office.sees(member, company)));
    assert_eq!(
        ids_of(&data["ofCompany"]["nodes"]),
        of_company.map(|deal| office.records[deal].id.clone()).collect(),
        "deals of a visible company {context}"
    );
    for (at, record) in office.records.iter().enumerate().filter(|(_, record)| record.object != "task") {
        let errors = actor.update(record.object, &record.id, json!({ "externalIds": [] })).await["userErrors"].clone();
        let code = match (office.sees(member, at), office.changes(member, at)) {
            (true, true) => Value::Null,
            (true, false) if writes => json!("NOT_WRITABLE"),
            _ => json!("NOT_FOUND"),
        };
        assert_eq!(errors[0]["code"], code, "update of {} {} {context}", record.object, record.id);
    }
}

async fn run(server: &Server, writes: bool) {
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (first, cases) = (number("KITH_SEED", 1), number("KITH_CASES", 3));
    for seed in first..first + cases {
        let mut dice = Dice(seed.wrapping_mul(7_919));
        let (office, actors) = build(server, &mut dice).await;
        for (member, actor) in actors.iter().enumerate() {
            compare(&office, member, actor, &format!("(KITH_SEED={seed}, member {member})"), writes).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_shows_what_the_model_says() {
    run(&Server::on_sqlite().await, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_shows_what_the_model_says() {
    run(&Server::on_postgres().await, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_alone_show_what_the_model_says() {
    run(&Server::on_policies_alone().await, false).await;
}
