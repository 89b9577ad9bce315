//! Computed fields: formulas and roll-ups, the same on both databases.

use serde_json::{Value, json};

use super::custom_objects::define;
use crate::harness::{Actor, Server, on_both};

const CREATE: &str = "mutation($input: CreateFieldInput!) { createField(input: $input) { field { id kind graphqlType inputPath formula rollUp { relation operation field filter } } userErrors { code path message } } }";

async fn create(admin: &Actor<'_>, object: &str, name: &str, more: Value) -> Value {
    let mut input = json!({ "object": object, "name": name, "label": name });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    admin.ask_with(CREATE, json!({ "input": input })).await["createField"].take()
}

async fn formula(admin: &Actor<'_>, object: &str, name: &str, formula: &str) -> String {
    let made = create(admin, object, name, json!({ "kind": "FORMULA", "formula": formula })).await;
    assert_eq!(made["userErrors"], json!([]), "{formula}");
    made["field"]["id"].as_str().unwrap().to_owned()
}

async fn roll_up(admin: &Actor<'_>, object: &str, name: &str, roll_up: Value) -> String {
    let made = create(admin, object, name, json!({ "kind": "ROLL_UP", "rollUp": roll_up })).await;
    assert_eq!(made["userErrors"], json!([]), "{roll_up}");
    made["field"]["id"].as_str().unwrap().to_owned()
}

fn euros(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

on_both! {
    async fn a_formula_gives_what_it_says(server: &Server) {
        let admin = server.admin().await;
        for (name, kind) in [("dec", "DECIMAL"), ("other", "DECIMAL"), ("whole", "INTEGER"), ("none", "INTEGER"), ("word", "TEXT"), ("day", "DATE"), ("flag", "BOOLEAN"), ("fee", "MONEY")] {
            assert_eq!(create(&admin, "DEAL", name, json!({ "kind": kind })).await["userErrors"], json!([]));
        }
        let company = admin.create("company", json!({ "name": "Acme" })).await;
        let deal = admin
            .create("deal", json!({
                "name": "Big É", "amount": euros("1000.50"), "probability": "25", "company": { "id": company }, "expectedCloseDate": "2026-01-31",
                "custom": { "dec": "2.5", "other": "-0.0003", "whole": 7, "word": "Straße", "day": "2024-02-29", "flag": true, "fee": euros("99.99") },
            }))
            .await;
        for (index, (text, expected)) in [
            ("amount * probability / 100", euros("250.125")),
            ("amount + custom.fee", euros("1100.49")),
            ("-amount", euros("-1000.50")),
            ("amount / custom.fee", json!("10.006")),
            ("amount > 1000 and amount.currency = 'EUR'", json!(true)),
            ("round(amount / 3, 2)", euros("333.50")),
            ("min(amount, custom.fee)", euros("99.99")),
            ("if(custom.flag, amount, custom.fee)", euros("1000.50")),
            ("coalesce(amount, custom.fee)", euros("1000.50")),
            ("custom.dec * custom.dec", json!("6.25")),
            ("custom.dec * custom.other", json!("-0.0008")),
            ("custom.dec / 0.0001 / 3", json!("8333.3333")),
            ("custom.whole / 2", json!("3.5")),
            ("custom.whole * 3 - 1", json!(20)),
            ("custom.whole % 4", json!(3)),
            ("custom.dec + custom.whole", json!("9.5")),
            ("round(custom.dec)", json!(2)),
            ("round(custom.dec + 1)", json!(4)),
            ("round(1.25 * 1.1, 1)", json!("1.4")),
            ("floor(custom.other)", json!(-1)),
            ("ceil(custom.dec)", json!(3)),
            ("abs(custom.other)", json!("0.0003")),
            ("max(custom.dec, custom.whole, 3)", json!("7")),
            ("1 / (custom.whole - 7)", Value::Null),
            ("custom.dec * 900000000000000", Value::Null),
            ("custom.whole * 2000000000", Value::Null),
            ("name & ' / ' & company.name & ' ' & custom.dec & ' ' & custom.whole & ' ' & custom.flag & ' ' & custom.day", json!("Big É / Acme 2.5 7 true 2024-02-29")),
            ("'it''s ' & text(amount)", json!("it's 1000.5 EUR")),
            ("concat(name, null, custom.word)", json!("Big ÉStraße")),
            ("upper(name) & lower('ÀB') & trim('  x ')", json!("BIG Éàbx")),
            ("length(custom.word)", json!(6)),
            ("left(custom.word, 3) & '|' & right(custom.word, 2) & '|' & right(custom.word, 0) & left(custom.word, 99)", json!("Str|ße|Straße")),
            ("contains(name, 'big e') and startsWith(name, 'BIG') and endsWith(name, 'é') and not endsWith(name, 'x')", json!(true)),
            ("name = 'big e'", json!(true)),
            ("status = 'OPEN'", json!(true)),
            ("isNull(closedAt) or custom.flag = false", json!(true)),
            ("custom.day + 1", json!("2024-03-01")),
            ("addMonths(expectedCloseDate, 1)", json!("2026-02-28")),
            ("addMonths(custom.day, 12)", json!("2025-02-28")),
            ("addDays(custom.day, -60)", json!("2023-12-31")),
            ("expectedCloseDate - custom.day", json!(702)),
            ("daysBetween(custom.day, expectedCloseDate)", json!(702)),
            ("year(custom.day) * 10000 + month(custom.day) * 100 + dayOfMonth(custom.day)", json!(20_240_229)),
            ("weekday(custom.day)", json!(4)),
            ("today() - day(createdAt)", json!(0)),
            ("if(amount > 5000, 'big', if(amount > 500, 'middle', 'small'))", json!("middle")),
            ("company.name", json!("Acme")),
            ("stage.probability > 100 or pipeline.name = company.name", json!(false)),
            ("createdAt <= now()", json!(true)),
            ("coalesce(null, amount, null)", euros("1000.50")),
            ("min(null, custom.dec, null)", json!("2.5")),
            ("left(name, custom.none) & right(name, custom.none)", json!("")),
            ("addDays(custom.day, 2915000)", Value::Null),
            ("addDays(custom.day, -740000)", Value::Null),
            ("max(max(max(max(amount, custom.fee), amount), max(custom.fee, amount)), amount)", euros("1000.50")),
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("f{index}");
            let id = formula(&admin, "DEAL", &name, text).await;
            let selection = if expected.get("currency").is_some() || text.starts_with("amount *") { " { amount currency }" } else { "" };
            let found = admin.ask(&format!("{{ deal(id: \"{deal}\") {{ custom {{ {name}{selection} }} customFields }} }}")).await;
            assert_eq!(found["deal"]["custom"][&name], expected, "{text}");
            assert_eq!(found["deal"]["customFields"][&name], expected, "{text}");
            let archive = "mutation($id: ID!) { archiveField(input: { id: $id }) { userErrors { message } } }";
            assert_eq!(admin.ask_with(archive, json!({ "id": id })).await["archiveField"]["userErrors"], json!([]));
        }
    }

    async fn lists_filter_sort_group_and_add_up_by_formulas(server: &Server) {
        let admin = server.admin().await;
        formula(&admin, "DEAL", "weighted", "amount * probability / 100").await;
        formula(&admin, "DEAL", "size", "if(amount >= 100, 'large', 'small')").await;
        formula(&admin, "DEAL", "double", "probability * 2").await;
        for (name, amount, probability) in [("a", "100", "10"), ("b", "50", "50"), ("c", "300", "20"), ("d", "1", "0")] {
            admin.create("deal", json!({ "name": name, "amount": euros(amount), "probability": probability })).await;
        }
        let names = async |arguments: &str| crate::harness::names(&admin.ask(&format!("{{ deals({arguments}) {{ nodes {{ name }} }} }}")).await["deals"]["nodes"]);
        assert_eq!(names("orderBy: [{ custom: { weighted: DESC } }]").await, ["c", "b", "a", "d"]);
        assert_eq!(names("filter: { custom: { weighted: { amount: { gte: \"25\" } } } }, orderBy: [{ name: ASC }]").await, ["b", "c"]);
        assert_eq!(names("filter: { custom: { size: { eq: \"LARGE\" } } }, orderBy: [{ name: ASC }]").await, ["a", "c"]);
        assert_eq!(names("filter: { customFields: [{ field: \"double\", operator: \"gt\", value: \"40\" }] }").await, ["b"]);
        // Pages by a computed order go on where they ended.
        let page = admin.ask("{ deals(first: 2, orderBy: [{ custom: { weighted: DESC } }]) { pageInfo { endCursor } } }").await["deals"]["pageInfo"]["endCursor"].take();
        assert_eq!(names(&format!("first: 2, after: {page}, orderBy: [{{ custom: {{ weighted: DESC }} }}]")).await, ["a", "d"]);
        let sums = admin.ask("{ deals { aggregate { sum { custom { weighted { amount currency } double } } max { custom { double } } countDistinct { custom { size } } } } \
            dealGroups(by: [{ custom: { size: VALUE } }], orderBy: [{ key: ASC }]) { nodes { key { custom { size } } count sum { custom { weighted { amount } } } } } }").await;
        assert_eq!(sums["deals"]["aggregate"], json!({ "sum": { "custom": { "weighted": euros("95.00"), "double": "160" } }, "max": { "custom": { "double": "100" } }, "countDistinct": { "custom": { "size": 2 } } }));
        assert_eq!(sums["dealGroups"]["nodes"], json!([
            { "key": { "custom": { "size": "large" } }, "count": 2, "sum": { "custom": { "weighted": { "amount": "70.00" } } } },
            { "key": { "custom": { "size": "small" } }, "count": 2, "sum": { "custom": { "weighted": { "amount": "25.00" } } } },
        ]));
        // Nobody writes what is computed.
        let refused = admin.mutate("createDeal", "deal", json!({ "name": "x", "customFields": [{ "field": "double", "value": "1" }] })).await;
        assert_eq!((&refused["userErrors"][0]["code"], &refused["userErrors"][0]["path"]), (&json!("NOT_WRITABLE"), &json!(["customFields", "0", "value"])));
        let unknown = admin.send("mutation { createDeal(input: { name: \"x\", custom: { double: \"1\" } }) { deal { id } } }", json!({})).await;
        assert_eq!(unknown["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    }

    async fn a_roll_up_makes_one_value_of_linked_records(server: &Server) {
        let admin = server.admin().await;
        let open = json!({ "status": { "eq": "OPEN" } });
        roll_up(&admin, "COMPANY", "deals", json!({ "relation": "deals", "operation": "COUNT" })).await;
        roll_up(&admin, "COMPANY", "pipeline", json!({ "relation": "deals", "operation": "SUM", "field": "amount", "filter": open })).await;
        roll_up(&admin, "COMPANY", "mean", json!({ "relation": "deals", "operation": "AVG", "field": "amount" })).await;
        roll_up(&admin, "COMPANY", "least", json!({ "relation": "deals", "operation": "MIN", "field": "probability" })).await;
        roll_up(&admin, "COMPANY", "last", json!({ "relation": "deals", "operation": "MAX", "field": "expectedCloseDate" })).await;
        roll_up(&admin, "COMPANY", "newest", json!({ "relation": "deals", "operation": "LATEST", "field": "name" })).await;
        roll_up(&admin, "COMPANY", "staff", json!({ "relation": "people", "operation": "COUNT", "filter": { "jobTitle": { "startsWith": "dev" } } })).await;
        // Computed of what is computed.
        formula(&admin, "COMPANY", "each", "custom.pipeline / custom.deals").await;
        formula(&admin, "DEAL", "share", "amount * 100 / company.custom.pipeline").await;
        let acme = admin.create("company", json!({ "name": "Acme" })).await;
        let zeta = admin.create("company", json!({ "name": "Zeta" })).await;
        let lost = admin.ask("{ stages(filter: { type: { eq: LOST } }, first: 1) { nodes { id } } }").await["stages"]["nodes"][0]["id"].take();
        let mut deals = Vec::new();
        for (name, amount, probability, day, stage) in [("a", "100", "10", "2026-01-01", None), ("b", "50.01", "60", "2027-01-01", None), ("c", "7", "5", "2025-01-01", Some(&lost))] {
            let mut input = json!({ "name": name, "amount": euros(amount), "probability": probability, "expectedCloseDate": day, "company": { "id": acme } });
            if let Some(id) = stage {
                input["stage"] = json!({ "id": id });
                input.as_object_mut().unwrap().remove("probability");
            }
            deals.push(admin.create("deal", input).await);
            server.clock.advance(1);
        }
        for title in ["Developer", "devops", "Chef"] {
            admin.create("person", json!({ "lastName": title, "jobTitle": title, "companies": { "connect": [{ "id": acme }] } })).await;
        }
        let fields = "deals pipeline { amount currency } mean { amount } least last newest staff each { amount }";
        let found = admin.ask(&format!("{{ company(id: \"{acme}\") {{ custom {{ {fields} }} }} deal(id: \"{}\") {{ custom {{ share }} }} }}", deals[0])).await;
        assert_eq!(found["company"]["custom"], json!({
            "deals": 3, "pipeline": euros("150.01"), "mean": { "amount": "52.3367" }, "least": "0", "last": "2027-01-01", "newest": "c", "staff": 2, "each": { "amount": "50.0033" },
        }));
        assert_eq!(found["deal"]["custom"]["share"], "66.6622");
        let none = admin.ask(&format!("{{ company(id: \"{zeta}\") {{ custom {{ {fields} }} }} }}")).await;
        assert_eq!(none["company"]["custom"], json!({ "deals": 0, "pipeline": null, "mean": null, "least": null, "last": null, "newest": null, "staff": 0, "each": null }));
        // Lists filter, sort and add up by it.
        let sorted = admin.ask("{ companies(orderBy: [{ custom: { deals: DESC } }]) { nodes { name } aggregate { sum { custom { deals pipeline { amount } } } } } some: companies(filter: { custom: { deals: { gte: 1 } } }) { totalCount } \
            companyGroups(by: [{ custom: { deals: VALUE } }]) { nodes { key { custom { deals } } count } } }").await;
        assert_eq!(crate::harness::names(&sorted["companies"]["nodes"]), ["Acme", "Zeta"]);
        assert_eq!(sorted["companies"]["aggregate"]["sum"]["custom"], json!({ "deals": "3", "pipeline": { "amount": "150.01" } }));
        assert_eq!(sorted["some"]["totalCount"], 1);
        assert_eq!(sorted["companyGroups"]["nodes"], json!([{ "key": { "custom": { "deals": 0 } }, "count": 1 }, { "key": { "custom": { "deals": 3 } }, "count": 1 }]));
        // Amounts of two currencies are not one.
        admin.create("deal", json!({ "name": "d", "amount": { "amount": "1", "currency": "CHF" }, "company": { "id": acme } })).await;
        let mixed = admin.ask(&format!("{{ company(id: \"{acme}\") {{ custom {{ deals pipeline {{ amount }} each {{ amount }} }} }} }}")).await;
        assert_eq!(mixed["company"]["custom"], json!({ "deals": 4, "pipeline": null, "each": null }));
    }

    async fn own_objects_compute_too(server: &Server) {
        let admin = server.admin().await;
        let fields = json!([
            { "name": "rent", "kind": "MONEY", "label": "Rent" }, { "name": "area", "kind": "DECIMAL", "label": "Area" },
            { "name": "perMetre", "kind": "FORMULA", "label": "Per m²", "formula": "rent / area" },
            { "name": "dear", "kind": "FORMULA", "label": "Dear", "formula": "perMetre > 20" },
        ]);
        define(&admin, json!({ "name": "flat", "plural": "flats", "label": "Flat", "pluralLabel": "Flats", "titleField": { "name": "address", "label": "Address" }, "fields": fields })).await;
        define(&admin, json!({ "name": "viewing", "plural": "viewings", "label": "Viewing", "pluralLabel": "Viewings", "titleField": { "name": "what", "label": "What" } })).await;
        let relation = "mutation($input: CreateRelationInput!) { createRelation(input: $input) { userErrors { code path message } } }";
        let input = json!({ "from": "FLAT", "to": "VIEWING", "name": "viewings", "inverseName": "flat", "label": "Viewings", "inverseLabel": "Flat", "cardinality": "ONE_TO_MANY" });
        let made = admin.ask_with(relation, json!({ "input": input })).await;
        assert_eq!(made["createRelation"]["userErrors"], json!([]));
        roll_up(&admin, "FLAT", "viewed", json!({ "relation": "viewings", "operation": "COUNT" })).await;
        let flat = admin.create("flat", json!({ "address": "A 1", "rent": euros("1000"), "area": "40" })).await;
        admin.create("flat", json!({ "address": "B 2", "rent": euros("500"), "area": "0" })).await;
        admin.create("viewing", json!({ "what": "v", "flat": { "id": flat } })).await;
        let data = admin.ask("{ flats(orderBy: [{ perMetre: DESC }], filter: { viewed: { gte: 0 } }) { nodes { title perMetre { amount currency } dear viewed customFields } aggregate { max { perMetre { amount } } } } }").await;
        assert_eq!(data["flats"]["nodes"][0], json!({
            "title": "A 1", "perMetre": euros("25.00"), "dear": true, "viewed": 1,
            "customFields": { "address": "A 1", "rent": euros("1000.00"), "area": "40", "perMetre": euros("25.00"), "dear": true, "viewed": 1 },
        }));
        assert_eq!(data["flats"]["nodes"][1]["perMetre"], Value::Null);
        assert_eq!(data["flats"]["aggregate"]["max"]["perMetre"]["amount"], "25.00");
    }

    async fn what_cannot_be_computed_is_refused_when_it_is_defined(server: &Server) {
        let admin = server.admin().await;
        for (text, at, message) in [
            ("amount / 0", 8, "divides by zero"),
            ("1 / (2 - 2)", 3, "divides by zero"),
            ("amount +", 9, "missing"),
            ("amoun * 2", 1, "no field `amoun`"),
            ("amount * amount", 8, "multiplied"),
            ("amount + 1", 8, "no currency"),
            ("name + 'x'", 6, "`&`"),
            ("name * 2", 6, "Expected a number"),
            ("if(amount, 1, 2)", 4, "true or false"),
            ("if(true, 1, 'x')", 13, "Expected a whole number"),
            ("amount = null", 8, "isNull"),
            ("sqrt(2)", 1, "no function"),
            ("If(true, 1, 2)", 1, "Write `if("),
            ("round(probability, 9)", 20, "0 to 4"),
            ("people", 1, "many records"),
            ("company", 1, "name a field of it"),
            ("company..name", 1, "Between two dots"),
            ("amount.currency.x", 1, "no part"),
            ("custom.nope", 1, "no field `custom.nope`"),
            ("2 / 3", 1, "same for every record"),
            ("year(null)", 6, "makes nothing of null"),
            ("amount * null", 8, "reckoned with null"),
            ("0 - 9223372036854775807 - 1", 25, "range"),
            ("people.name", 1, "many records"),
            ("900000000000000 * 900000000000000", 17, "range"),
            ("null", 1, "always null"),
            ("externalIds", 1, "parts"),
            ("name; DROP TABLE deal", 5, "means nothing"),
        ] {
            let made = create(&admin, "DEAL", "x", json!({ "kind": "FORMULA", "formula": text })).await;
            let error = &made["userErrors"][0];
            assert_eq!((&error["code"], &error["path"]), (&json!("INVALID_VALUE"), &json!(["formula"])), "{text}: {made}");
            let told = error["message"].as_str().unwrap();
            assert!(told.starts_with(&format!("At character {at}: ")) && told.contains(message), "{text}: {told}");
        }
        // Long rows of values are refused before anybody walks them.
        for text in [format!("1{}", "+1".repeat(900)), format!("name{}", " & name".repeat(200)), "-".repeat(500)] {
            let made = create(&admin, "DEAL", "x", json!({ "kind": "FORMULA", "formula": text })).await;
            assert_eq!(made["userErrors"][0]["code"], "INVALID_VALUE");
        }
        for filter in [json!("x"), json!([]), json!(true), json!({ "custom": [1] }), json!({ "and": 5 }), json!({ "deals": { "some": null } })] {
            let made = create(&admin, "COMPANY", "x", json!({ "kind": "ROLL_UP", "rollUp": { "relation": "people", "operation": "COUNT", "filter": filter } })).await;
            assert_eq!((&made["userErrors"][0]["code"], &made["userErrors"][0]["path"]), (&json!("INVALID_VALUE"), &json!(["rollUp", "filter"])), "{filter}");
        }
        for (roll_up, message) in [
            (json!({ "relation": "nobody", "operation": "COUNT" }), "no relation"),
            (json!({ "relation": "company", "operation": "COUNT" }), "one record"),
            (json!({ "relation": "people", "operation": "SUM" }), "field of the linked"),
            (json!({ "relation": "people", "operation": "SUM", "field": "lastName" }), "added up"),
            (json!({ "relation": "people", "operation": "COUNT", "field": "lastName" }), "has no field"),
            (json!({ "relation": "people", "operation": "LATEST", "field": "emails" }), "parts"),
            (json!({ "relation": "people", "operation": "COUNT", "filter": { "nothing": { "eq": 1 } } }), "nothing"),
            (json!({ "relation": "people", "operation": "COUNT", "filter": { "lastName": { "near": 1 } } }), "near"),
        ] {
            let made = create(&admin, "DEAL", "x", json!({ "kind": "ROLL_UP", "rollUp": roll_up })).await;
            assert_eq!(made["userErrors"][0]["path"][0], "rollUp", "{roll_up}: {made}");
            assert!(made["userErrors"][0]["message"].as_str().unwrap().contains(message), "{roll_up}: {made}");
        }
        for (more, path) in [
            (json!({ "kind": "FORMULA" }), "formula"),
            (json!({ "kind": "TEXT", "formula": "1" }), "formula"),
            (json!({ "kind": "FORMULA", "formula": "length(name)", "required": true }), "required"),
            (json!({ "kind": "FORMULA", "formula": "length(name)", "indexed": true }), "indexed"),
            (json!({ "kind": "FORMULA", "formula": "length(name)", "min": "1" }), "kind"),
            (json!({ "kind": "ROLL_UP" }), "rollUp"),
        ] {
            assert_eq!(create(&admin, "DEAL", "x", more).await["userErrors"][0]["path"], json!([path]));
        }
    }

    async fn cycles_and_what_would_break_others_are_refused(server: &Server) {
        let admin = server.admin().await;
        assert_eq!(create(&admin, "DEAL", "base", json!({ "kind": "DECIMAL" })).await["userErrors"], json!([]));
        let base = admin.ask("{ fields(object: DEAL) { id name } }").await["fields"].as_array().unwrap().iter().find(|field| field["name"] == "base").unwrap()["id"].clone();
        let a = formula(&admin, "DEAL", "a", "custom.base + 1").await;
        formula(&admin, "DEAL", "b", "custom.a * 2").await;
        roll_up(&admin, "COMPANY", "total", json!({ "relation": "deals", "operation": "SUM", "field": "custom.b" })).await;
        let update = async |id: &str, formula: &str| {
            let document = "mutation($id: ID!, $f: String!) { updateField(input: { id: $id, formula: $f }) { field { formula } userErrors { code path message } } }";
            admin.ask_with(document, json!({ "id": id, "f": formula })).await["updateField"].clone()
        };
        for (text, message) in [("custom.b + 1", "computed of it"), ("custom.a + 1", "computed of it"), ("company.custom.total", "computed of it"), ("name & 'text'", "was DECIMAL"), ("1 +", "missing")] {
            let refused = update(&a, text).await;
            assert!(refused["userErrors"][0]["message"].as_str().unwrap().contains(message), "{text}: {refused}");
        }
        let changed = update(&a, "custom.base + 2").await;
        assert_eq!((&changed["userErrors"], &changed["field"]["formula"]), (&json!([]), &json!("custom.base + 2")));
        let deal = admin.create("deal", json!({ "name": "d", "custom": { "base": "1" } })).await;
        assert_eq!(admin.ask(&format!("{{ deal(id: \"{deal}\") {{ custom {{ b }} }} }}")).await["deal"]["custom"]["b"], "6");
        // What others are computed of is not archived.
        let archive = "mutation($id: ID!) { archiveField(input: { id: $id }) { userErrors { code message } } }";
        let refused = admin.ask_with(archive, json!({ "id": base })).await;
        assert_eq!(refused["archiveField"]["userErrors"][0]["code"], "RULE_REFUSED");
        assert!(refused["archiveField"]["userErrors"][0]["message"].as_str().unwrap().contains("Deal.custom.a"));
        // A field that moves with the clock does not sort a list; one that was archived comes back with what it is made of.
        let moving = formula(&admin, "DEAL", "age", "daysBetween(createdAt, now())").await;
        assert_eq!(admin.refused("{ deals(orderBy: [{ custom: { age: ASC } }]) { totalCount } }").await.0, "BAD_REQUEST");
        let update = "mutation($id: ID!) { updateField(input: { id: $id, searchable: true }) { userErrors { path } } }";
        assert_eq!(admin.ask_with(update, json!({ "id": moving })).await["updateField"]["userErrors"], json!([{ "path": ["searchable"] }]));
        let lone = formula(&admin, "PERSON", "twice", "lastName & lastName").await;
        assert_eq!(create(&admin, "PERSON", "own", json!({ "kind": "TEXT" })).await["userErrors"], json!([]));
        let own = admin.ask("{ fields(object: PERSON) { id name } }").await["fields"].as_array().unwrap().iter().find(|field| field["name"] == "own").unwrap()["id"].clone();
        let of_own = formula(&admin, "PERSON", "ofOwn", "custom.own & '!'").await;
        let set = async |id: &Value, archived: bool| {
            let document = "mutation($id: ID!, $a: Boolean!) { archiveField(input: { id: $id, archived: $a }) { userErrors { code } } }";
            admin.ask_with(document, json!({ "id": id, "a": archived })).await["archiveField"]["userErrors"].clone()
        };
        assert_eq!((set(&json!(of_own), true).await, set(&own, true).await), (json!([]), json!([])));
        assert_eq!(set(&json!(of_own), false).await, json!([{ "code": "RULE_REFUSED" }]));
        assert_eq!((set(&json!(lone), true).await, set(&json!(lone), false).await), (json!([]), json!([])));
        // A long chain is read as well as it was defined.
        let mut before = "base".to_owned();
        for index in 0..40 {
            formula(&admin, "DEAL", &format!("l{index}"), &format!("custom.{before} + 1")).await;
            before = format!("l{index}");
        }
        let read = admin.ask(&format!("{{ deal(id: \"{deal}\") {{ custom {{ {before} }} }} deals(orderBy: [{{ custom: {{ {before}: DESC }} }}]) {{ totalCount }} }}")).await;
        assert_eq!(read["deal"]["custom"][&before], "41");
        // A chain that is too much work.
        let mut last = "b".to_owned();
        let mut refused = Value::Null;
        for index in 0..20 {
            let name = format!("c{index}");
            let made = create(&admin, "DEAL", &name, json!({ "kind": "FORMULA", "formula": format!("custom.{last} + custom.{last}") })).await;
            if made["userErrors"] != json!([]) {
                refused = made;
                break;
            }
            last = name;
        }
        assert!(refused["userErrors"][0]["message"].as_str().unwrap().contains("too much work"), "{refused}");
    }

    async fn a_computed_field_tells_nobody_what_they_may_not_see(server: &Server) {
        let admin = server.admin().await;
        formula(&admin, "DEAL", "weighted", "amount * 2").await;
        formula(&admin, "DEAL", "label", "name & '!'").await;
        roll_up(&admin, "COMPANY", "total", json!({ "relation": "deals", "operation": "SUM", "field": "amount" })).await;
        roll_up(&admin, "COMPANY", "big", json!({ "relation": "deals", "operation": "COUNT", "filter": { "amount": { "amount": { "gt": "5" } } } })).await;
        roll_up(&admin, "COMPANY", "many", json!({ "relation": "deals", "operation": "COUNT" })).await;
        let company = admin.create("company", json!({ "name": "Acme" })).await;
        let role = "mutation($input: CreateRoleInput!) { createRole(input: $input) { role { id } userErrors { path message } } }";
        let input = json!({ "name": "Poor", "restricts": true, "fields": [{ "object": "DEAL", "field": "amount", "sight": "HIDDEN" }] });
        let poor = admin.ask_with(role, json!({ "input": input })).await["createRole"]["role"]["id"].take();
        let rep = admin.role("REP").await;
        let ann = server.member_with(&admin, "Ann", "REP", json!({ "roles": [rep, poor] })).await;
        let share = "mutation($record: ID!, $grantee: ID!) { shareRecord(input: { record: $record, grantee: $grantee }) { userErrors { message } } }";
        assert_eq!(admin.ask_with(share, json!({ "record": company, "grantee": ann.id().await })).await["shareRecord"]["userErrors"], json!([]));
        let of_ann = ann.create("deal", json!({ "name": "hers", "company": { "id": company } })).await;
        admin.create("deal", json!({ "name": "another's", "company": { "id": company }, "amount": euros("9") })).await;
        let answer = ann.send(&format!("{{ deal(id: \"{of_ann}\") {{ custom {{ weighted {{ amount }} label }} customFields }} company(id: \"{company}\") {{ custom {{ total {{ amount }} big many }} }} }}"), json!({})).await;
        assert_eq!(answer["data"], json!({
            "deal": { "custom": { "weighted": null, "label": "hers!" }, "customFields": { "label": "hers!" } },
            // She sees one of the two deals.
            "company": { "custom": { "total": null, "big": null, "many": 1 } },
        }));
        assert_eq!(answer["extensions"]["hidden"], json!(["Company.custom.big", "Company.custom.total", "Deal.custom.weighted"]));
        for document in [
            "{ deals(orderBy: [{ custom: { weighted: ASC } }]) { totalCount } }",
            "{ companies(filter: { custom: { total: { amount: { gt: \"1\" } } } }) { totalCount } }",
            "{ companyGroups(by: [{ custom: { big: VALUE } }]) { nodes { count } } }",
        ] {
            assert_eq!(ann.refused(document).await.0, "FORBIDDEN", "{document}");
        }
        assert_eq!(admin.ask(&format!("{{ company(id: \"{company}\") {{ custom {{ big many }} }} }}")).await["company"]["custom"], json!({ "big": 1, "many": 2 }));
    }
}
