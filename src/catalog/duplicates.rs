//! What a workspace has done about new records that look like old ones.

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateAction {
    /// Nothing; nobody looks.
    Allow,
    /// It is created, and those that it looks like are told.
    Warn,
    /// It is not created.
    Block,
}

impl DuplicateAction {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Warn => "WARN",
            Self::Block => "BLOCK",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Allow, Self::Warn, Self::Block].into_iter().find(|action| action.as_str() == text)
    }
}

/// The rule of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateRule {
    pub action: DuplicateAction,
    /// Of 100: who looks less alike is no duplicate.
    pub least_score: u8,
}

impl Default for DuplicateRule {
    fn default() -> Self {
        Self { action: DuplicateAction::Allow, least_score: 80 }
    }
}
