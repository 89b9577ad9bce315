//! Builds a random office, in the model and on the server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::merging::NUMBER;
use super::office::*;
use crate::harness::{Actor, Server};

/// A small generator of numbers, the same on every machine.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

pub(super) const MEMBERS: usize = 5;

/// Builds a random office, in the model and on the server.
pub(super) async fn build<'a>(server: &'a Server, dice: &mut Dice) -> (Office, Vec<Actor<'a>>) {
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

pub(super) async fn make_records(admin: &Actor<'_>, office: &mut Office, dice: &mut Dice, ids: &[String], territories: &[String]) {
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
            input["phones"] = json!([{ "number": NUMBER }]);
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
pub(super) async fn give_roles(admin: &Actor<'_>, office: &mut Office, dice: &mut Dice, member: usize, id: &str) {
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
                let kept: Vec<&str> = kept.into_iter().filter(|_| !dice.one_in(3)).collect();
                rights.delete |= bits(&kept);
                spec["delete"] = json!(kept);
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
        rights.delete &= read;
        let mut input = json!({ "name": format!("bound {member}"), "restricts": true, "objects": [{ "object": "DEAL", "create": true, "read": names, "update": names, "delete": names }] });
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

pub(super) async fn make_role(admin: &Actor<'_>, input: Value) -> Value {
    let create = "mutation($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { path message } } }";
    let mut made = admin.ask_with(create, json!({ "input": input })).await["createRole"].take();
    assert_eq!(made["userErrors"], json!([]), "{input}");
    made["role"]["id"].take()
}

/// One or two random scopes.
pub(super) fn scopes(dice: &mut Dice) -> (u8, Vec<&'static str>) {
    let names: Vec<&str> = (0..1 + dice.below(2)).map(|_| SCOPES[dice.below(SCOPES.len())].0).collect();
    (bits(&names), names)
}

pub(super) fn bits(names: &[&str]) -> u8 {
    SCOPES.iter().filter(|(name, _)| names.contains(name)).fold(0, |sum, (_, bits)| sum | bits)
}
