//! Which records the demo has, in the order in which they came to be.

use entity::Micros;
use serde_json::{Value as Json, json};
use uuid::{ContextV7, Timestamp, Uuid};

use super::words::*;
use crate::infra::text::fold;

pub const COMPANIES: usize = 300;
pub const PEOPLE: usize = 1_500;
pub const DEALS: usize = 1_200;
pub const ACTIVITIES: usize = 6_000;
pub const NOTE_COUNT: usize = 600;

const DAY: i64 = 86_400_000_000;
/// Eighteen months.
const SPAN: i64 = 548 * DAY;

/// A record to create, and when.
pub struct Line {
    pub at: i64,
    pub object: &'static str,
    pub variant: Option<&'static str>,
    pub input: Json,
}

/// Numbers that look random and are the same every time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    fn one_of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn between(&mut self, from: i64, to: i64) -> i64 {
        let span = u64::try_from((to - from).max(1)).unwrap_or(1);
        from + i64::try_from(self.next() % span).unwrap_or(0)
    }
}

struct Teller {
    dice: Dice,
    begin: i64,
    now: i64,
    ids: ContextV7,
    lines: Vec<Line>,
    members: Vec<Uuid>,
    companies: Vec<Uuid>,
    /// People, and the company where each works.
    people: Vec<(Uuid, usize)>,
    deals: Vec<(Uuid, usize, i64)>,
}

/// All records, oldest first within each kind.
pub fn tell(admin: Uuid, now: Micros) -> Vec<Line> {
    let mut teller = Teller {
        dice: Dice(20_260_301),
        begin: now.0 - SPAN,
        now: now.0,
        ids: ContextV7::new(),
        lines: Vec::new(),
        members: vec![admin],
        companies: Vec::new(),
        people: Vec::new(),
        deals: Vec::new(),
    };
    teller.set_up();
    teller.companies();
    teller.people();
    teller.deals();
    teller.activities();
    teller.notes();
    teller.lines
}

fn id_text(id: Uuid) -> Json {
    json!({ "id": id })
}

impl Teller {
    fn id(&self, at: i64) -> Uuid {
        let seconds = u64::try_from(at / 1_000_000).unwrap_or(0);
        Uuid::new_v7(Timestamp::from_unix(&self.ids, seconds, 0))
    }

    fn add(&mut self, at: i64, object: &'static str, variant: Option<&'static str>, input: Json) {
        self.lines.push(Line { at, object, variant, input });
    }

    fn time(&self, index: usize, of: usize) -> i64 {
        let (index, of) = (i64::try_from(index).unwrap_or(0), i64::try_from(of).unwrap_or(1));
        self.begin + (SPAN - 7 * DAY) / of * index
    }

    fn set_up(&mut self) {
        let at = self.begin;
        for (index, (name, title)) in MEMBERS.iter().enumerate() {
            let id = self.id(at);
            let email = format!("{}@kith.example", fold(name).split(' ').next().unwrap_or("member"));
            let zone = if index % 2 == 0 { "Europe/Zurich" } else { "Europe/London" };
            self.add(
                at,
                "member",
                None,
                json!({ "id": id, "name": name, "email": email, "status": "ACTIVE", "jobTitle": title, "timeZone": zone }),
            );
            self.members.push(id);
        }
        for (name, color) in TAGS {
            self.add(at, "tag", None, json!({ "name": name, "color": color }));
        }
        let pipeline = self.id(at);
        self.add(
            at,
            "pipeline",
            None,
            json!({ "id": pipeline, "name": "Renewals", "position": 1, "externalIds": [{ "system": "demo", "value": "renewals" }] }),
        );
        for (name, probability) in [("Due", "60"), ("Offered", "75"), ("Verbal yes", "90")] {
            self.add(at, "stage", None, json!({ "name": name, "probability": probability, "pipeline": { "id": pipeline }, "externalIds": [{ "system": "demo", "value": name }] }));
        }
    }

    fn owner(&mut self) -> Json {
        let member = *self.dice.one_of(&self.members);
        id_text(member)
    }

    fn companies(&mut self) {
        for index in 0..COMPANIES {
            let at = self.time(index, COMPANIES);
            let begin = COMPANY_BEGINNINGS[index % COMPANY_BEGINNINGS.len()];
            let (end, industry) = COMPANY_ENDINGS[index / COMPANY_BEGINNINGS.len() * 2 % COMPANY_ENDINGS.len() + self.dice.below(2)];
            let (form, tld, country) = *self.dice.one_of(COMPANY_FORMS);
            let cities: Vec<&str> = CITIES.iter().filter(|(of, _)| *of == country).map(|(_, city)| *city).collect();
            let city = *self.dice.one_of(&cities);
            let employees = [12, 35, 80, 150, 420, 900, 2_400, 8_000][self.dice.below(8)] + self.dice.below(30);
            let id = self.id(at);
            let customer = self.dice.chance(40);
            let domain = format!("{}{}{index}.{tld}", begin.to_lowercase(), end.to_lowercase());
            let mut input = json!({
                "id": id,
                "name": format!("{begin} {end}"),
                "legalName": format!("{begin} {end} {form}"),
                "domains": [domain],
                "website": format!("https://{domain}"),
                "industry": industry,
                "employeeCount": employees,
                "annualRevenue": { "amount": (employees * 140_000 + self.dice.below(90) * 1_000).to_string(), "currency": "EUR" },
                "type": if customer { "CUSTOMER" } else { "PROSPECT" },
                "lifecycleStage": if customer { "CUSTOMER" } else { "LEAD" },
                "billingAddress": { "street": format!("Industriestrasse {}", 1 + self.dice.below(120)), "city": city, "country": country },
                "owner": self.owner(),
            });
            let tier = *self.dice.one_of(&["gold", "silver", "bronze"]);
            input["custom"] = json!({ "tier": tier });
            if customer {
                input["custom"]["customerSince"] = json!(Micros(at).to_utc().date_naive().to_string());
            }
            if index > 20 && self.dice.chance(8) {
                let parent = *self.dice.one_of(&self.companies);
                input["parent"] = id_text(parent);
            }
            if self.dice.chance(15) {
                let (tag, _) = *self.dice.one_of(TAGS);
                input["tags"] = json!({ "connect": [{ "key": { "name": tag } }] });
            }
            self.companies.push(id);
            self.add(at, "company", None, input);
        }
    }

    fn people(&mut self) {
        for index in 0..PEOPLE {
            let company = if index < COMPANIES { index } else { self.dice.below(COMPANIES) };
            let at = self.time(company, COMPANIES) + self.dice.between(0, 5 * DAY);
            let (first, last) = (*self.dice.one_of(FIRST_NAMES), *self.dice.one_of(LAST_NAMES));
            let (title, seniority, department) = *self.dice.one_of(JOBS);
            let plain = |name: &str| fold(name).chars().filter(char::is_ascii_alphanumeric).collect::<String>();
            let email = format!("{}.{}{index}@mail.example", plain(first), plain(last));
            let id = self.id(at);
            let mut input = json!({
                "id": id,
                "firstName": first,
                "lastName": last,
                "emails": [{ "address": email, "label": "WORK" }],
                "jobTitle": title,
                "department": department,
                "seniority": seniority,
                "leadStatus": *self.dice.one_of(&["NEW", "OPEN", "IN_PROGRESS", "CONNECTED"]),
                "companies": { "connect": [{ "id": self.companies[company], "role": department, "title": title, "primary": true }] },
                "owner": self.owner(),
            });
            if self.dice.chance(60) {
                input["phones"] = json!([{ "number": format!("+4144668{:04}", index), "label": "WORK" }]);
            }
            if self.dice.chance(5) {
                let second = *self.dice.one_of(&self.companies);
                input["companies"]["connect"] = json!([input["companies"]["connect"][0], { "id": second, "role": "Board" }]);
            }
            if self.dice.chance(30) {
                let interest = *self.dice.one_of(&["sensors", "gateways", "service"]);
                input["custom"] = json!({ "interests": [interest], "nps": self.dice.below(11) });
            }
            self.people.push((id, company));
            self.add(at, "person", None, input);
        }
    }

    fn deals(&mut self) {
        for _ in 0..DEALS {
            let company = self.dice.below(COMPANIES);
            let earliest = self.time(company, COMPANIES) + 6 * DAY;
            let at = self.dice.between(earliest, self.now - DAY);
            let renewal = self.dice.chance(25);
            let topic = *self.dice.one_of(DEAL_TOPICS);
            let amount = (2 + self.dice.below(60)) * 1_500 + self.dice.below(100) * 10;
            let currency = *self.dice.one_of(&["EUR", "EUR", "EUR", "CHF"]);
            let id = self.id(at);
            let mut input = json!({
                "id": id,
                "name": format!("{}{}", topic[..1].to_uppercase(), &topic[1..]),
                "amount": { "amount": amount.to_string(), "currency": currency },
                "company": id_text(self.companies[company]),
                "type": if renewal { "RENEWAL" } else if self.dice.chance(30) { "EXPANSION" } else { "NEW" },
                "expectedCloseDate": Micros(at + self.dice.between(20 * DAY, 150 * DAY)).to_utc().date_naive().to_string(),
                "owner": self.owner(),
            });
            let origin = *self.dice.one_of(&["referral", "web", "fair", "outbound"]);
            input["custom"] = json!({ "origin": origin });
            if renewal || self.dice.chance(40) {
                input["custom"]["arr"] = json!({ "amount": (amount / 3).to_string(), "currency": currency });
            }
            let colleagues: Vec<Uuid> = self.people.iter().filter(|(_, of)| *of == company).map(|(id, _)| *id).take(3).collect();
            let roles = ["Decision maker", "Champion", "Technical buyer"];
            let links: Vec<Json> = colleagues
                .iter()
                .zip(roles)
                .enumerate()
                .map(|(n, (id, role))| json!({ "id": id, "role": role, "primary": n == 0 }))
                .collect();
            input["people"] = json!({ "connect": links });
            self.place(&mut input, at, renewal);
            self.deals.push((id, company, at));
            self.add(at, "deal", None, input);
        }
    }

    /// Old deals are mostly decided, young ones open.
    fn place(&mut self, input: &mut Json, at: i64, renewal: bool) {
        let decided = self.now - at > 90 * DAY && self.dice.chance(85);
        let roll = self.dice.below(100);
        let stage = match (renewal, decided) {
            (true, true) if roll < 70 => "renewals/won",
            (true, true) => "renewals/lost",
            (true, false) => ["renewals/due", "renewals/offered", "renewals/verbal yes"][roll % 3],
            (false, true) if roll < 48 => "sales/won",
            (false, true) => "sales/lost",
            (false, false) => ["sales/qualification", "sales/discovery", "sales/proposal", "sales/negotiation"][roll % 4],
        };
        // By name; the filling knows the ids.
        input["stage"] = json!(stage);
        if decided {
            let closed = at + self.dice.between(20 * DAY, 89 * DAY);
            input["closedAt"] = json!(Micros(closed).to_utc().to_rfc3339());
            if stage.ends_with("lost") {
                input["lostReason"] = json!(*self.dice.one_of(LOST_REASONS));
            }
        } else if self.dice.chance(50) {
            input["nextStep"] = json!(*self.dice.one_of(TASKS));
        }
    }

    fn activities(&mut self) {
        for _ in 0..ACTIVITIES {
            let (deal, company, begun) = *self.dice.one_of(&self.deals);
            let at = self.dice.between(begun, self.now + 14 * DAY).min(self.now + 14 * DAY);
            let over = at < self.now;
            let people: Vec<Uuid> = self.people.iter().filter(|(_, of)| *of == company).map(|(id, _)| *id).take(4).collect();
            let person = if people.is_empty() { deal } else { *self.dice.one_of(&people) };
            let when = Micros(at).to_utc().to_rfc3339();
            let links = json!({ "connect": [{ "id": deal }, { "id": person }, { "id": self.companies[company] }] });
            let (variant, mut input) = match self.dice.below(10) {
                0..=3 => (
                    "task",
                    json!({ "subject": *self.dice.one_of(TASKS), "dueAt": when, "status": if over && self.dice.chance(80) { "DONE" } else { "OPEN" } }),
                ),
                4..=6 => (
                    "call",
                    json!({ "subject": *self.dice.one_of(CALLS), "startAt": when, "direction": "OUT", "durationSeconds": 60 + self.dice.below(1_800), "status": if over { "COMPLETED" } else { "PLANNED" } }),
                ),
                7 => (
                    "meeting",
                    json!({ "subject": *self.dice.one_of(MEETINGS), "startAt": when, "endAt": Micros(at + 3_600_000_000).to_utc().to_rfc3339(), "status": if over { "HELD" } else { "PLANNED" } }),
                ),
                _ => (
                    "emailActivity",
                    json!({ "subject": *self.dice.one_of(EMAILS), "occurredAt": when, "direction": if self.dice.chance(50) { "OUT" } else { "IN" }, "status": if over { "SENT" } else { "DRAFT" } }),
                ),
            };
            input["links"] = links;
            input["owner"] = self.owner();
            if variant == "task" {
                input["assignee"] = self.owner();
            }
            self.add(at.min(self.now), "activity", Some(variant), input);
        }
    }

    fn notes(&mut self) {
        for index in 0..NOTE_COUNT {
            let (deal, company, begun) = *self.dice.one_of(&self.deals);
            let at = self.dice.between(begun, self.now);
            let text = *self.dice.one_of(NOTES);
            let title: String = text.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
            let pinned = index % 20 == 0;
            let links = json!({ "connect": [{ "id": deal }, { "id": self.companies[company] }] });
            self.add(at, "note", None, json!({ "title": title, "body": text, "pinned": pinned, "links": links }));
        }
    }
}
