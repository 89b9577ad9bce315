//! Merging records, undoing that, and looking for records that may be the same.

use super::meta::{Types, input, plain};
use super::records::Names;
use crate::catalog::MergeStrategy;

/// Types that every object shares.
pub fn common(types: &mut Types<'_>) {
    types.enumeration(
        "MergeStrategy",
        "How a value is chosen when records become one.",
        MergeStrategy::ALL.iter().map(|(_, name, help)| (*name, *help)),
    );
    types.input(
        "MergeChoiceInput",
        "How the value of one field is chosen: by `strategy`, or as the record `from` has it.",
        [
            input("field", "String!", "The field or to-one relation; own ones of a standard object are named `custom.<name>`."),
            input("strategy", "MergeStrategy", "How; or give `from`."),
            input("from", "ID", "The record whose value is taken, also if it has none; or give `strategy`."),
        ],
    );
    types.object(
        "FoldedLink",
        "A link of a merged record that was not moved, because the survivor had the like, or would have been linked to itself.",
        [
            plain("recordId", "ID!", "The record that was merged."),
            plain("relation", "String", "Its relation; null where only the other record has one."),
            plain("otherId", "ID!", "The record that it was linked to."),
        ],
    );
    types.enumeration(
        "DuplicateMethod",
        "How a field of two records agrees.",
        [
            ("EXACT", "It is the same, but for case, accents, legal forms, short forms of names, tags and dots of addresses."),
            ("SIMILAR", "It is nearly the same: a typing error, an initial."),
            ("ACRONYM", "One is made of the other's initials."),
        ],
    );
    types.object(
        "DuplicateReason",
        "A field that agrees.",
        [
            plain("field", "String!", "The field; own ones of a standard object are named `custom.<name>`."),
            plain("method", "DuplicateMethod!", "How it agrees."),
        ],
    );
    types.object(
        "UnmergeConflict",
        "What could not be given back, because something later stands on it.",
        [
            plain("object", "ObjectName!", "Which object the record is of."),
            plain("recordId", "ID!", "The record."),
            plain(
                "fields",
                "[String!]!",
                "The fields and relations that stay as they are, without those that the caller does not see whole.",
            ),
            plain("message", "String!", "Why, in words."),
        ],
    );
}

/// What a search for duplicates of one object answers.
pub fn duplicates(types: &mut Types<'_>, names: &Names<'_>) {
    let (ty, one) = (names.type_name, names.one);
    types.object(
        &format!("{ty}Duplicates"),
        "Records that may be the same.",
        [
            plain("nodes", &format!("[{ty}Duplicate!]!"), "Those that the caller sees, the likeliest first."),
            plain("hidden", "Int!", "How many more there are that the caller does not see."),
        ],
    );
    types.object(
        &format!("{ty}Duplicate"),
        "A record that may be the same.",
        [
            plain(one, ty, "The record."),
            plain("score", "Int!", "How likely it is the same, from 50 to 100."),
            plain("reasons", "[DuplicateReason!]!", "What agrees, the weightiest first."),
        ],
    );
}

/// The payloads of one object's merges.
pub fn payloads(types: &mut Types<'_>, names: &Names<'_>) {
    let (ty, one) = (names.type_name, names.one);
    types.object(
        &format!("{ty}MergePayload"),
        "What came of a merge: the surviving record, or why there was none.",
        [
            plain(one, ty, "The record that the others became part of; with `validateOnly`, as it would be."),
            plain("mergeId", "ID", "What undoes it. Null if nothing was merged."),
            plain("mergedIds", "[ID!]!", "The ids of the records that became part of it; they mean the survivor from now on."),
            plain("folded", "[FoldedLink!]!", "Links that were not moved."),
            plain("changeSetId", "ID", "What the write is called as a whole, for `changeSet`; null if nothing was written."),
            plain("warnings", "[UserError!]!", "What may be wrong, although it was done."),
            plain("userErrors", "[UserError!]!", "Why it was not done; empty if it was."),
        ],
    );
    types.object(
        &format!("{ty}UnmergePayload"),
        "What came of undoing a merge.",
        [
            plain(one, ty, "The record that the others had become part of."),
            plain("restored", &format!("[{ty}!]!"), "The records that are there again."),
            plain("conflicts", "[UnmergeConflict!]!", "What was not given back."),
            plain("changeSetId", "ID", "What the write is called as a whole; null if nothing was written."),
            plain("warnings", "[UserError!]!", "What may be wrong, although it was done."),
            plain("userErrors", "[UserError!]!", "Why it was not done; empty if it was."),
        ],
    );
}
