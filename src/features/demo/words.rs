//! What the demo's names and texts are made of. All of it is invented.

pub const FIRST_NAMES: &[&str] = &[
    "Amara", "Anton", "Aoife", "Beatriz", "Bjarne", "Camille", "Chiara", "Dagny", "Daniel", "Eleni", "Emil", "Fatima", "Finn", "Giulia",
    "Hana", "Henrik", "Inès", "Isak", "Jana", "João", "Kaito", "Katya", "Leila", "Liam", "Lucía", "Magnus", "Mei", "Milan", "Nadia",
    "Noah", "Olga", "Omar", "Paula", "Pierre", "Quinn", "Rania", "Rasmus", "Selma", "Søren", "Tariq", "Théo", "Uma", "Viktor", "Wanda",
    "Xavier", "Yara", "Zoë", "Zdeněk",
];

pub const LAST_NAMES: &[&str] = &[
    "Abbott",
    "Almeida",
    "Andersen",
    "Baumann",
    "Bianchi",
    "Bouchard",
    "Carver",
    "Castellanos",
    "Dahl",
    "Dubois",
    "Eriksen",
    "Farkas",
    "Fontaine",
    "Gallagher",
    "García",
    "Haugen",
    "Hoffmann",
    "Ibrahim",
    "Ivanova",
    "Jansen",
    "Kaya",
    "Keller",
    "Kowalski",
    "Lambert",
    "Lindqvist",
    "Marchetti",
    "Meier",
    "Müller",
    "Nakamura",
    "Novák",
    "O’Brien",
    "Okafor",
    "Papadakis",
    "Petrov",
    "Quist",
    "Ribeiro",
    "Rossi",
    "Sato",
    "Schäfer",
    "Šimek",
    "Sørensen",
    "Tanaka",
    "Thorne",
    "Ueda",
    "Vasquez",
    "Visser",
    "Weiss",
    "Yılmaz",
    "Zanetti",
    "Zhou",
];

pub const COMPANY_BEGINNINGS: &[&str] = &[
    "Alder", "Aurora", "Basalt", "Beacon", "Birch", "Borealis", "Bright", "Cedar", "Cobalt", "Delta", "Ember", "Falcon", "Fjord", "Garnet",
    "Glacier", "Granite", "Harbour", "Heron", "Indigo", "Juniper", "Kestrel", "Lark", "Lumen", "Meridian", "Mistral", "Nordic", "Oak",
    "Orchid", "Pine", "Quartz", "Raven", "River", "Saffron", "Sequoia", "Slate", "Summit", "Tern", "Umber", "Vela", "Willow", "Zephyr",
];

pub const COMPANY_ENDINGS: &[(&str, &str)] = &[
    ("Analytics", "Software"),
    ("Automation", "Manufacturing"),
    ("Bioworks", "Life sciences"),
    ("Clinics", "Health care"),
    ("Energy", "Energy"),
    ("Foods", "Food"),
    ("Freight", "Logistics"),
    ("Instruments", "Manufacturing"),
    ("Labs", "Software"),
    ("Mills", "Manufacturing"),
    ("Networks", "Telecommunications"),
    ("Optics", "Manufacturing"),
    ("Partners", "Consulting"),
    ("Robotics", "Manufacturing"),
    ("Systems", "Software"),
    ("Water", "Utilities"),
];

pub const COMPANY_FORMS: &[(&str, &str, &str)] = &[
    ("AG", "ch", "CH"),
    ("GmbH", "de", "DE"),
    ("SA", "fr", "FR"),
    ("Ltd", "co.uk", "GB"),
    ("AB", "se", "SE"),
    ("BV", "nl", "NL"),
    ("SpA", "it", "IT"),
    ("Inc", "com", "US"),
];

pub const CITIES: &[(&str, &str)] = &[
    ("CH", "Zürich"),
    ("CH", "Basel"),
    ("DE", "Hamburg"),
    ("DE", "München"),
    ("FR", "Lyon"),
    ("FR", "Nantes"),
    ("GB", "Leeds"),
    ("GB", "Bristol"),
    ("SE", "Malmö"),
    ("SE", "Uppsala"),
    ("NL", "Utrecht"),
    ("NL", "Eindhoven"),
    ("IT", "Torino"),
    ("IT", "Bologna"),
    ("US", "Portland"),
    ("US", "Denver"),
];

pub const JOBS: &[(&str, &str, &str)] = &[
    ("Chief executive", "EXECUTIVE", "Management"),
    ("Head of operations", "DIRECTOR", "Operations"),
    ("Plant manager", "MANAGER", "Operations"),
    ("Head of IT", "DIRECTOR", "IT"),
    ("IT architect", "SENIOR", "IT"),
    ("Procurement manager", "MANAGER", "Procurement"),
    ("Buyer", "ENTRY", "Procurement"),
    ("Chief financial officer", "EXECUTIVE", "Finance"),
    ("Controller", "SENIOR", "Finance"),
    ("Process engineer", "SENIOR", "Engineering"),
    ("Quality manager", "MANAGER", "Quality"),
    ("Project lead", "SENIOR", "Engineering"),
];

pub const DEAL_TOPICS: &[&str] = &[
    "cold chain monitoring",
    "condition monitoring",
    "energy dashboards",
    "flow metering",
    "gateway roll-out",
    "line sensors",
    "pilot plant",
    "predictive service",
    "retrofit",
    "sensor renewal",
    "service contract",
    "spare parts",
    "tank levels",
    "training days",
    "vibration study",
];

pub const TASKS: &[&str] = &[
    "Send the offer",
    "Prepare the demo",
    "Check the contract",
    "Ask for the site plan",
    "Update the forecast",
    "Book the installation",
    "Clarify the budget",
    "Follow up on the offer",
];
pub const CALLS: &[&str] = &["First call", "Call about the offer", "Technical questions", "Check-in", "Call back", "Budget call"];
pub const MEETINGS: &[&str] = &["Kick-off", "Demo on site", "Quarterly review", "Workshop", "Negotiation", "Site visit"];
pub const EMAILS: &[&str] =
    &["Offer and data sheets", "Minutes of our meeting", "Your question on gateways", "Next steps", "Reference visit", "Updated schedule"];
pub const NOTES: &[&str] = &[
    "Wants a reference in the same industry before deciding.",
    "The works council must agree to the dashboards.",
    "Budget is set in October; the need is real, the timing is not.",
    "Competes with an in-house project.",
    "Very happy with the pilot. Ask for a quote from them.",
    "New plant opens next year: come back with the larger gateways.",
    "Prefers calls before nine.",
    "Procurement insists on their own terms.",
];
pub const LOST_REASONS: &[&str] = &["Price", "No budget", "Chose a competitor", "No answer", "Postponed"];
pub const MEMBERS: &[(&str, &str)] = &[
    ("Bruno Vale", "Head of sales"),
    ("Clara Winter", "Account executive"),
    ("David Osei", "Account executive"),
    ("Elif Demir", "Account executive"),
    ("Frida Holm", "Sales development"),
    ("Goran Petrić", "Account executive"),
    ("Hugo Laurent", "Customer success"),
];
pub const TAGS: &[(&str, &str)] = &[
    ("Key account", "#c62828"),
    ("Reference", "#2e7d32"),
    ("Newsletter", "#1565c0"),
    ("At risk", "#ef6c00"),
    ("Public sector", "#6a1b9a"),
];
