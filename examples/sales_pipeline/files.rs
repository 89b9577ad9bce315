//! The CSV files, with their dirt.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Result;

#[derive(Deserialize)]
pub struct Account {
    pub account: String,
    pub sector: String,
    pub year_established: String,
    /// In millions.
    pub revenue: String,
    pub employees: String,
    pub office_location: String,
    pub subsidiary_of: String,
}

#[derive(Deserialize)]
pub struct Agent {
    pub sales_agent: String,
    pub manager: String,
    pub regional_office: String,
}

#[derive(Deserialize)]
pub struct Product {
    pub product: String,
    pub series: String,
    pub sales_price: String,
}

impl Product {
    /// What programs call it: `gtx-plus-pro`.
    pub fn key(&self) -> String {
        self.product.to_lowercase().replace(' ', "-")
    }
}

#[derive(Deserialize)]
pub struct Opportunity {
    pub opportunity_id: String,
    pub sales_agent: String,
    pub product: String,
    pub account: String,
    pub deal_stage: String,
    pub engage_date: String,
    pub close_date: String,
    pub close_value: String,
}

pub struct Files {
    pub accounts: Vec<Account>,
    pub agents: Vec<Agent>,
    pub products: Vec<Product>,
    pub opportunities: Vec<Opportunity>,
}

impl Files {
    pub fn read(folder: &Path) -> Result<Self> {
        Ok(Self {
            accounts: read(&folder.join("accounts.csv"))?,
            agents: read(&folder.join("sales_teams.csv"))?,
            products: read(&folder.join("products.csv"))?,
            opportunities: read(&folder.join("sales_pipeline.csv"))?,
        })
    }

    /// A product by its name, spaces aside.
    pub fn product(&self, name: &str) -> Option<&Product> {
        let plain = |name: &str| name.replace(' ', "").to_lowercase();
        self.products.iter().find(|product| plain(&product.product) == plain(name))
    }
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let lines: csv::Result<Vec<T>> = reader.deserialize().collect();
    lines.map_err(|e| format!("{}: {e}", file.display()).into())
}

/// US dates, as YYYY-MM-DD.
pub fn day(text: &str) -> Option<String> {
    let mut parts = text.split('/');
    let (month, day, year): (u32, u32, i32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    chrono::NaiveDate::from_ymd_opt(year, month, day).map(|day| day.to_string())
}

/// A sector in its right spelling, and whether it had another.
pub fn spelled(sector: &str) -> (&str, bool) {
    if sector == "technolgy" { ("technology", true) } else { (sector, false) }
}

/// The country code of a place.
pub fn country(place: &str) -> Option<&'static str> {
    const COUNTRIES: [(&str, &str); 16] = [
        ("Belgium", "BE"),
        ("Brazil", "BR"),
        ("China", "CN"),
        ("Germany", "DE"),
        ("Italy", "IT"),
        ("Japan", "JP"),
        ("Jordan", "JO"),
        ("Kenya", "KE"),
        ("Korea", "KR"),
        ("Norway", "NO"),
        ("Panama", "PA"),
        ("Philipines", "PH"),
        ("Philippines", "PH"),
        ("Poland", "PL"),
        ("Romania", "RO"),
        ("United States", "US"),
    ];
    COUNTRIES.iter().find(|(name, _)| *name == place).map(|(_, code)| *code)
}
