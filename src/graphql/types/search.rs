//! What a search answers.

use async_graphql::registry::MetaField;

use super::meta::{Types, field, input, input_with_default, plain};

pub fn root() -> MetaField {
    field(
        "search",
        "SearchConnection",
        "Records of all objects by what somebody types: words and beginnings of words, without regard to case and accents, with a letter or two wrong; e-mail addresses, telephone numbers however they are written, domains. The best match comes first. It looks at titles, searchable fields and the text of notes, as far as the caller may see them, and finds a record from the next request after its write.",
        [
            input(
                "query",
                "String!",
                "What to look for; every word must be found. At most 500 characters, of which the first twelve words count.",
            ),
            input("objects", "[ObjectName!]", "Only records of these objects; all if not given."),
            input_with_default("first", "Int", "20", "Records on the page, at most 200. A search shows 1,000 in all."),
            input("after", "Cursor", "Begin after this place."),
        ],
    )
}

pub fn add(types: &mut Types<'_>) {
    types.object(
        "SearchConnection",
        "A page of what a search found.",
        [
            plain("edges", "[SearchEdge!]!", "The records with their places."),
            plain("nodes", "[SearchResult!]!", "The records."),
            plain("pageInfo", "PageInfo!", "Whether there is more, and where."),
            plain("totalCount", "Int", "How many records match; above 10,000 about how many."),
            plain("totalIsEstimate", "Boolean!", "Whether `totalCount` is an estimate."),
        ],
    );
    types.object(
        "SearchEdge",
        "A record that a search found, and its place.",
        [plain("node", "SearchResult!", "The record."), plain("cursor", "Cursor!", "Its place.")],
    );
    types.object(
        "SearchResult",
        "A record that a search found.",
        [
            plain("record", "AnyRecord", "The record."),
            plain("object", "ObjectName!", "Which object it is of."),
            plain("title", "String!", "What to call it in a list of mixed records."),
            plain("score", "Float!", "How well it fits, from 0 to 1: above 0.9 the title is or begins with what was typed, above 0.8 the title has all words, above 0.6 some, 0.5 another field has them; 0.4 and less: the title is spelt a little differently."),
            plain("highlights", "[SearchHighlight!]!", "Where it has the words, for fields that the caller sees."),
        ],
    );
    types.object(
        "SearchHighlight",
        "A field in which something matched.",
        [
            plain("field", "String!", "The field; own ones are named `custom.<name>`."),
            plain("label", "String!", "What people call it."),
            plain(
                "parts",
                "[SearchHighlightPart!]!",
                "Its text in pieces, of a long text the part around the first match: plain text, never HTML.",
            ),
        ],
    );
    types.object(
        "SearchHighlightPart",
        "A piece of a text.",
        [plain("text", "String!", "The piece."), plain("isMatch", "Boolean!", "Whether it is what was looked for.")],
    );
    types.scalar("Float", "A number with a fraction, as IEEE 754 double precision.", None, |value| {
        matches!(value, async_graphql::Value::Number(_))
    });
}
