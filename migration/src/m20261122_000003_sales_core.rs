//! The objects of the sales core.

use sea_orm_migration::prelude::*;

use crate::ddl::{self, Table};

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[Table] = &[
    Table::new("member", MEMBER),
    Table::new("territory", TERRITORY),
    Table::new("company", COMPANY),
    Table::new("person", PERSON),
    Table::new("pipeline", PIPELINE),
    Table::new("stage", STAGE),
    Table::new("deal", DEAL),
    Table::new("activity", ACTIVITY),
    Table::new("note", NOTE),
    Table::new("tag", TAG),
];

const MEMBER: &str = r#"
CREATE TABLE member (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    name_fold TEXT NOT NULL,
    email TEXT,
    status TEXT NOT NULL,
    kind TEXT NOT NULL,
    user_id UUID,
    time_zone TEXT,
    job_title TEXT,
    manager_id UUID,
    person_id UUID,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by UUID,
    updated_at BIGINT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by UUID,
    deleted_at BIGINT,
    owner_id UUID,
    source TEXT NOT NULL,
    external_ids JSON NOT NULL,
    custom JSON NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, id) REFERENCES record (workspace_id, id),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES member (workspace_id, id),
    FOREIGN KEY (workspace_id, manager_id) REFERENCES member (workspace_id, id),
    FOREIGN KEY (workspace_id, person_id) REFERENCES record (workspace_id, id),
    FOREIGN KEY (user_id) REFERENCES user_account (id)
);
CREATE INDEX member_manager_id ON member (workspace_id, manager_id, id);
CREATE INDEX member_person_id ON member (workspace_id, person_id, id);
CREATE INDEX member_name_fold ON member (workspace_id, name_fold, name, id);
CREATE INDEX member_owner_id ON member (workspace_id, owner_id, id) WHERE deleted_at IS NULL;
CREATE INDEX member_created_at ON member (workspace_id, created_at, id);
CREATE INDEX member_updated_at ON member (workspace_id, updated_at, id);
"#;

const TERRITORY: &str = r#"
CREATE TABLE territory (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    name_fold TEXT NOT NULL,
    description TEXT,
    parent_id UUID,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by UUID,
    updated_at BIGINT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by UUID,
    deleted_at BIGINT,
    owner_id UUID,
    source TEXT NOT NULL,
    external_ids JSON NOT NULL,
    custom JSON NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, id) REFERENCES record (workspace_id, id),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES member (workspace_id, id),
    FOREIGN KEY (workspace_id, parent_id) REFERENCES territory (workspace_id, id)
);
CREATE INDEX territory_name_fold ON territory (workspace_id, name_fold, name, id);
CREATE INDEX territory_parent_id ON territory (workspace_id, parent_id, id);
CREATE INDEX territory_owner_id ON territory (workspace_id, owner_id, id) WHERE deleted_at IS NULL;
CREATE INDEX territory_created_at ON territory (workspace_id, created_at, id);
CREATE INDEX territory_updated_at ON territory (workspace_id, updated_at, id);
"#;

const COMPANY: &str = r#"
CREATE TABLE company (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    name_fold TEXT NOT NULL,
    legal_name TEXT,
    domain TEXT,
    domains JSON NOT NULL,
    website TEXT,
    linkedin_url TEXT,
    industry TEXT,
    employee_count BIGINT,
    annual_revenue BIGINT,
    annual_revenue_currency TEXT,
    "type" TEXT,
    lifecycle_stage TEXT,
    parent_id UUID,
    billing_address JSON,
    shipping_address JSON,
    phones JSON NOT NULL,
    tax_id TEXT,
    vat_id TEXT,
    registration_number TEXT,
    currency TEXT,
    time_zone TEXT,
    language TEXT,
    description TEXT,
    founded_year BIGINT,
    rating TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by UUID,
    updated_at BIGINT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by UUID,
    deleted_at BIGINT,
    owner_id UUID,
    territory_id UUID,
    source TEXT NOT NULL,
    external_ids JSON NOT NULL,
    custom JSON NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, id) REFERENCES record (workspace_id, id),
    FOREIGN KEY (workspace_id, territory_id) REFERENCES territory (workspace_id, id),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES member (workspace_id, id),
    FOREIGN KEY (workspace_id, parent_id) REFERENCES company (workspace_id, id)
);
CREATE INDEX company_name_fold ON company (workspace_id, name_fold, name, id);
CREATE INDEX company_parent_id ON company (workspace_id, parent_id, id);
CREATE INDEX company_owner_id ON company (workspace_id, owner_id, id, territory_id) WHERE deleted_at IS NULL;
CREATE INDEX company_territory_id ON company (workspace_id, territory_id, id) WHERE deleted_at IS NULL;
CREATE INDEX company_created_at ON company (workspace_id, created_at, id);
CREATE INDEX company_updated_at ON company (workspace_id, updated_at, id);
CREATE INDEX company_domain ON company (workspace_id, domain, id);
CREATE INDEX company_annual_revenue ON company (workspace_id, annual_revenue, id);
CREATE INDEX company_employee_count ON company (workspace_id, employee_count, id);
CREATE INDEX company_lifecycle_stage ON company (workspace_id, lifecycle_stage, id);
"#;

const PERSON: &str = r#"
CREATE TABLE person (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    salutation TEXT,
    first_name TEXT,
    middle_name TEXT,
    last_name TEXT,
    last_name_fold TEXT,
    suffix TEXT,
    nickname TEXT,
    full_name TEXT NOT NULL,
    full_name_fold TEXT NOT NULL,
    email TEXT,
    emails JSON NOT NULL,
    phone TEXT,
    phones JSON NOT NULL,
    job_title TEXT,
    department TEXT,
    seniority TEXT,
    reports_to_id UUID,
    birthday DATE,
    pronouns TEXT,
    language TEXT,
    time_zone TEXT,
    linkedin_url TEXT,
    x_url TEXT,
    address JSON,
    lead_source TEXT,
    lifecycle_stage TEXT,
    lead_status TEXT,
    do_not_contact BOOL NOT NULL,
    do_not_contact_reason TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by UUID,
    updated_at BIGINT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by UUID,
    deleted_at BIGINT,
    owner_id UUID,
    territory_id UUID,
    source TEXT NOT NULL,
    external_ids JSON NOT NULL,
    custom JSON NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, id) REFERENCES record (workspace_id, id),
    FOREIGN KEY (workspace_id, territory_id) REFERENCES territory (workspace_id, id),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES member (workspace_id, id),
    FOREIGN KEY (workspace_id, reports_to_id) REFERENCES person (workspace_id, id)
);
CREATE INDEX person_full_name_fold ON person (workspace_id, full_name_fold, full_name, id);
CREATE INDEX person_last_name_fold ON person (workspace_id, last_name_fold, last_name, id);
CREATE INDEX person_email ON person (workspace_id, email, id);
CREATE INDEX person_reports_to_id ON person (workspace_id, reports_to_id, id);
CREATE INDEX person_owner_id ON person (workspace_id, owner_id, id, territory_id) WHERE deleted_at IS NULL;
CREATE INDEX person_territory_id ON person (workspace_id, territory_id, id) WHERE deleted_at IS NULL;
CREATE INDEX person_created_at ON person (workspace_id, created_at, id);
CREATE INDEX person_updated_at ON person (workspace_id, updated_at, id);
CREATE INDEX person_lifecycle_stage ON person (workspace_id, lifecycle_stage, id);
"#;

const PIPELINE: &str = r#"
CREATE TABLE pipeline (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    name_fold TEXT NOT NULL,
    position BIGINT NOT NULL,
    is_default BOOL NOT NULL,
    active BOOL NOT NULL,
    currency TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by UUID,
    updated_at BIGINT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by UUID,
    deleted_at BIGINT,
    owner_id UUID,
    source TEXT NOT NULL,
    external_ids JSON NOT NULL,
    custom JSON NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, id) REFERENCES record (workspace_id, id),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES member (workspace_id, id)
);
CREATE INDEX pipeline_position ON pipeline (workspace_id, position, id);
CREATE INDEX pipeline_owner_id ON pipeline (workspace_id, owner_id, id) WHERE deleted_at IS NULL;
CREATE INDEX pipeline_name_fold ON pipeline (workspace_id, name_fold, name, id);
CREATE INDEX pipeline_created_at ON pipeline (workspace_id, created_at, id);
CREATE INDEX pipeline_updated_at ON pipeline (workspace_id, updated_at, id);
"#;

const STAGE: &str = r#"
CREATE TABLE stage (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    pipeline_id UUID NOT NULL,
    name TEXT NOT NULL,
    name_fold TEXT NOT NULL,
    position BIGINT NOT NULL,
    "type" TEXT NOT NULL,
    probability BIGINT NOT NULL,
    color TEXT,
    rotting_days BIGINT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by UUID,
    updated_at BIGINT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by UUID,
    deleted_at BIGINT,
    owner_id UUID,
    source TEXT NOT NULL,
    external_ids JSON NOT NULL,
    custom JSON NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, id) REFERENCES record (workspace_id, id),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES member (workspace_id, id),
    FOREIGN KEY (workspace_id, pipeline_id) REFERENCES pipeline (workspace_id, id)
);
CREATE INDEX stage_pipeline_id_position ON stage (workspace_id, pipeline_id, position, id);
CREATE INDEX stage_owner_id ON stage (workspace_id, owner_id, id) WHERE deleted_at IS NULL;
CREATE INDEX stage_name_fold ON stage (workspace_id, name_fold, name, id);
CREATE INDEX stage_position ON stage (workspace_id, position, id);
CREATE INDEX stage_created_at ON stage (workspace_id, created_at, id);
CREATE INDEX stage_updated_at ON stage (workspace_id, updated_at, id);
"#;

const DEAL: &str = r#"
CREATE TABLE deal (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    name_fold TEXT NOT NULL,
    pipeline_id UUID NOT NULL,
    stage_id UUID NOT NULL,
    status TEXT NOT NULL,
    amount BIGINT,
    amount_currency TEXT,
    probability BIGINT NOT NULL,
    probability_mode TEXT NOT NULL,
    expected_close_date DATE,
    closed_at BIGINT,
    stage_entered_at BIGINT NOT NULL,
    company_id UUID,
    "type" TEXT,
    lost_reason TEXT,
    next_step TEXT,
    description TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by UUID,
    updated_at BIGINT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by UUID,
    deleted_at BIGINT,
    owner_id UUID,
    territory_id UUID,
    source TEXT NOT NULL,
    external_ids JSON NOT NULL,
    custom JSON NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, id) REFERENCES record (workspace_id, id),
    FOREIGN KEY (workspace_id, territory_id) REFERENCES territory (workspace_id, id),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES member (workspace_id, id),
    FOREIGN KEY (workspace_id, pipeline_id) REFERENCES pipeline (workspace_id, id),
    FOREIGN KEY (workspace_id, stage_id) REFERENCES stage (workspace_id, id),
    FOREIGN KEY (workspace_id, company_id) REFERENCES company (workspace_id, id)
);
CREATE INDEX deal_name_fold ON deal (workspace_id, name_fold, name, id);
CREATE INDEX deal_amount ON deal (workspace_id, amount, id);
CREATE INDEX deal_expected_close_date ON deal (workspace_id, expected_close_date, id);
CREATE INDEX deal_closed_at ON deal (workspace_id, closed_at, id);
CREATE INDEX deal_territory_id ON deal (workspace_id, territory_id, id) WHERE deleted_at IS NULL;
CREATE INDEX deal_created_at ON deal (workspace_id, created_at, id);
CREATE INDEX deal_updated_at ON deal (workspace_id, updated_at, id);
CREATE INDEX deal_pipeline_id ON deal (workspace_id, pipeline_id, id);
CREATE INDEX deal_stage_id ON deal (workspace_id, stage_id, id);
CREATE INDEX deal_company_id ON deal (workspace_id, company_id, id);
CREATE INDEX deal_owner_id ON deal (workspace_id, owner_id, id, territory_id) WHERE deleted_at IS NULL;
CREATE INDEX deal_status ON deal (workspace_id, status, id);
CREATE INDEX deal_probability ON deal (workspace_id, probability, id);
CREATE INDEX deal_stage_entered_at ON deal (workspace_id, stage_entered_at, id);
"#;

const ACTIVITY: &str = r#"
CREATE TABLE activity (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    subject_fold TEXT NOT NULL,
    body TEXT,
    status TEXT NOT NULL,
    priority TEXT,
    occurred_at BIGINT,
    due_at BIGINT,
    start_at BIGINT,
    end_at BIGINT,
    all_day BOOL NOT NULL,
    completed_at BIGINT,
    duration_seconds BIGINT,
    direction TEXT,
    from_number TEXT,
    to_number TEXT,
    location TEXT,
    join_url TEXT,
    time_zone TEXT,
    outcome TEXT,
    assignee_id UUID,
    from_address TEXT,
    to_addresses JSON NOT NULL,
    message_id TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by UUID,
    updated_at BIGINT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by UUID,
    deleted_at BIGINT,
    owner_id UUID,
    source TEXT NOT NULL,
    external_ids JSON NOT NULL,
    custom JSON NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, id) REFERENCES record (workspace_id, id),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES member (workspace_id, id),
    FOREIGN KEY (workspace_id, assignee_id) REFERENCES member (workspace_id, id)
);
CREATE INDEX activity_kind_occurred_at ON activity (workspace_id, kind, occurred_at, id);
CREATE INDEX activity_occurred_at ON activity (workspace_id, occurred_at, id);
CREATE INDEX activity_due_at ON activity (workspace_id, due_at, id);
CREATE INDEX activity_assignee_id ON activity (workspace_id, assignee_id, id);
CREATE INDEX activity_owner_id ON activity (workspace_id, owner_id, id) WHERE deleted_at IS NULL;
CREATE INDEX activity_subject_fold ON activity (workspace_id, subject_fold, id);
CREATE INDEX activity_status ON activity (workspace_id, status, id);
CREATE INDEX activity_created_at ON activity (workspace_id, created_at, id);
CREATE INDEX activity_updated_at ON activity (workspace_id, updated_at, id);
"#;

const NOTE: &str = r#"
CREATE TABLE note (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    title TEXT NOT NULL,
    title_fold TEXT NOT NULL,
    body TEXT,
    pinned BOOL NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by UUID,
    updated_at BIGINT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by UUID,
    deleted_at BIGINT,
    owner_id UUID,
    source TEXT NOT NULL,
    external_ids JSON NOT NULL,
    custom JSON NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, id) REFERENCES record (workspace_id, id),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES member (workspace_id, id)
);
CREATE INDEX note_title_fold ON note (workspace_id, title_fold, title, id);
CREATE INDEX note_owner_id ON note (workspace_id, owner_id, id) WHERE deleted_at IS NULL;
CREATE INDEX note_created_at ON note (workspace_id, created_at, id);
CREATE INDEX note_updated_at ON note (workspace_id, updated_at, id);
"#;

const TAG: &str = r#"
CREATE TABLE tag (
    workspace_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    name_fold TEXT NOT NULL,
    color TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by UUID,
    updated_at BIGINT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by UUID,
    deleted_at BIGINT,
    owner_id UUID,
    source TEXT NOT NULL,
    external_ids JSON NOT NULL,
    custom JSON NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, id) REFERENCES record (workspace_id, id),
    FOREIGN KEY (workspace_id, owner_id) REFERENCES member (workspace_id, id)
);
CREATE INDEX tag_name_fold ON tag (workspace_id, name_fold, name, id);
CREATE INDEX tag_owner_id ON tag (workspace_id, owner_id, id) WHERE deleted_at IS NULL;
CREATE INDEX tag_created_at ON tag (workspace_id, created_at, id);
CREATE INDEX tag_updated_at ON tag (workspace_id, updated_at, id);
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::create(manager, TABLES).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop(manager, TABLES).await
    }
}
