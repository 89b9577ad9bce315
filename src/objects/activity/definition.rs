//! What an activity is: one table, four types.

use crate::catalog::{EnumType, Field, Kind, Object, Relation, Target, Variant};

static KIND: EnumType = EnumType {
    name: "ActivityKind",
    help: "Which type of activity a record is.",
    values: &[("TASK", "A `Task`."), ("CALL", "A `Call`."), ("MEETING", "A `Meeting`."), ("EMAIL", "An `EmailActivity`.")],
};

static STATUS: EnumType = EnumType {
    name: "ActivityStatus",
    help: "Where an activity stands. Tasks: OPEN, IN_PROGRESS, WAITING, DONE, CANCELLED, DEFERRED. Calls: PLANNED, COMPLETED, NO_ANSWER, BUSY, VOICEMAIL, FAILED, CANCELLED. Meetings: PLANNED, HELD, NO_SHOW, CANCELLED. E-mails: DRAFT, SENT, RECEIVED, BOUNCED.",
    values: &[
        ("OPEN", "To be done."),
        ("IN_PROGRESS", "Being done."),
        ("WAITING", "Waiting for somebody else."),
        ("DONE", "Done."),
        ("CANCELLED", "Will not happen."),
        ("DEFERRED", "Put off."),
        ("PLANNED", "Will happen."),
        ("COMPLETED", "The call took place."),
        ("NO_ANSWER", "Nobody answered the call."),
        ("BUSY", "The line was busy."),
        ("VOICEMAIL", "A message was left."),
        ("FAILED", "The call did not come about."),
        ("HELD", "The meeting took place."),
        ("NO_SHOW", "The others did not come to the meeting."),
        ("DRAFT", "The e-mail is not sent yet."),
        ("SENT", "The e-mail went out."),
        ("RECEIVED", "The e-mail came in."),
        ("BOUNCED", "The e-mail was returned."),
    ],
};

static PRIORITY: EnumType = EnumType {
    name: "TaskPriority",
    help: "How pressing a task is.",
    values: &[("LOW", "Some day."), ("NORMAL", "In its turn."), ("HIGH", "Soon."), ("URGENT", "Now.")],
};

static DIRECTION: EnumType =
    EnumType { name: "Direction", help: "From whom to whom.", values: &[("IN", "From them to us."), ("OUT", "From us to them.")] };

static TYPES: &[Variant] = &[
    Variant { value: "TASK", name: "task", plural: "tasks", type_name: "Task", help: "Something to be done." },
    Variant { value: "CALL", name: "call", plural: "calls", type_name: "Call", help: "A telephone call, planned or made." },
    Variant { value: "MEETING", name: "meeting", plural: "meetings", type_name: "Meeting", help: "People in a room, real or not." },
    Variant {
        value: "EMAIL",
        name: "emailActivity",
        plural: "emailActivities",
        type_name: "EmailActivity",
        help: "An e-mail, as something that happened.",
    },
];

pub fn definition() -> Object {
    Object::standard::<entity::activity::Entity>("activities", "Activity", "Activities", "Something done or to be done: a task, call, meeting or e-mail.")
        .title("subject")
        .variants("kind", TYPES)
        .field(Field::column("kind", Kind::Enum(&KIND), "Kind", "Which type it is.").read_only().indexed())
        .field(Field::column("subject", Kind::Text, "Subject", "What it is about.").folded().required().searchable().max_length(998))
        .field(Field::column("body", Kind::LongText, "Body", "Notes, agenda or text, as Markdown.").searchable())
        .field(Field::column("status", Kind::Enum(&STATUS), "Status", "Where it stands; which values fit depends on the type.").indexed())
        .field(Field::column("occurred_at", Kind::DateTime, "When", "When it happened or will happen: the time by which activities are sorted. Derived from start, due, sent or completed time where not given.").indexed())
        .field(Field::column("due_at", Kind::DateTime, "Due", "When it should be done.").indexed().only(&["TASK"]))
        .field(Field::column("priority", Kind::Enum(&PRIORITY), "Priority", "How pressing it is.").only(&["TASK"]))
        .field(Field::column("start_at", Kind::DateTime, "Start", "When it begins.").only(&["CALL", "MEETING"]))
        .field(Field::column("end_at", Kind::DateTime, "End", "When it ends.").only(&["CALL", "MEETING"]))
        .field(Field::column("all_day", Kind::Boolean, "All day", "Whether it takes whole days.").default(false).only(&["TASK", "MEETING"]))
        .field(Field::column("completed_at", Kind::DateTime, "Completed at", "When it was done; set with the status.").read_only())
        .field(Field::column("duration_seconds", Kind::Integer, "Duration", "How long the call took, in seconds.").range("0", "864000").only(&["CALL"]))
        .field(Field::column("direction", Kind::Enum(&DIRECTION), "Direction", "From whom to whom.").only(&["CALL", "EMAIL"]))
        .field(Field::column("from_number", Kind::Phone, "From", "Who called, as E.164.").personal().only(&["CALL"]))
        .field(Field::column("to_number", Kind::Phone, "To", "Who was called, as E.164.").personal().only(&["CALL"]))
        .field(Field::column("location", Kind::Text, "Location", "Where it takes place.").max_length(998).only(&["MEETING"]))
        .field(Field::column("join_url", Kind::Url, "Join link", "Where to join it online.").only(&["MEETING"]))
        .field(Field::column("time_zone", Kind::TimeZone, "Time zone", "The zone it was planned in.").only(&["MEETING"]))
        .field(Field::column("outcome", Kind::Text, "Outcome", "What came of it.").max_length(255))
        .field(Field::column("from_address", Kind::Email, "From", "Who sent it.").personal().only(&["EMAIL"]))
        .field(Field::column("to_addresses", Kind::Emails, "To", "Whom it was sent to.").personal().only(&["EMAIL"]))
        .field(Field::column("message_id", Kind::Text, "Message-ID", "The header of that name (RFC 5322).").max_length(998).only(&["EMAIL"]))
        .relation(Relation::one("assignee", "member", "assignee_id", "Assignee", "The member who is to do it."))
        .relation(Relation::links("links", Target::Any, "activity_link", true, "About", "The records it is about, of any object."))
        .follows("links")
}
