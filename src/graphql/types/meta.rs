//! Short ways to write async-graphql's type information.
//!
//! The registry's fields are public but carry many that only federation uses. This file is the one
//! place that spells them out, so that an upgrade of async-graphql is felt here and nowhere else.

use async_graphql::registry::{Deprecation, MetaEnumValue, MetaField, MetaInputValue, MetaType, Registry};
use indexmap::{IndexMap, IndexSet};

pub type Fields = IndexMap<String, MetaField>;
pub type Inputs = IndexMap<String, MetaInputValue>;

pub fn input(name: &str, ty: &str, help: &str) -> MetaInputValue {
    MetaInputValue {
        name: name.to_owned(),
        description: Some(help.to_owned()),
        ty: ty.to_owned(),
        deprecation: Deprecation::NoDeprecated,
        default_value: None,
        visible: None,
        inaccessible: false,
        tags: Vec::new(),
        is_secret: false,
        directive_invocations: Vec::new(),
    }
}

pub fn input_with_default(name: &str, ty: &str, default: &str, help: &str) -> MetaInputValue {
    MetaInputValue { default_value: Some(default.to_owned()), ..input(name, ty, help) }
}

pub fn inputs(list: impl IntoIterator<Item = MetaInputValue>) -> Inputs {
    list.into_iter().map(|value| (value.name.clone(), value)).collect()
}

pub fn field(name: &str, ty: &str, help: &str, args: impl IntoIterator<Item = MetaInputValue>) -> MetaField {
    MetaField {
        name: name.to_owned(),
        description: Some(help.to_owned()),
        args: inputs(args),
        ty: ty.to_owned(),
        deprecation: Deprecation::NoDeprecated,
        cache_control: Default::default(),
        external: false,
        requires: None,
        provides: None,
        visible: None,
        shareable: false,
        inaccessible: false,
        tags: Vec::new(),
        override_from: None,
        compute_complexity: None,
        directive_invocations: Vec::new(),
        requires_scopes: Vec::new(),
    }
}

/// A field without arguments.
pub fn plain(name: &str, ty: &str, help: &str) -> MetaField {
    field(name, ty, help, [])
}

pub fn fields(list: impl IntoIterator<Item = MetaField>) -> Fields {
    list.into_iter().map(|field| (field.name.clone(), field)).collect()
}

pub fn object(name: &str, help: &str, fields: Fields) -> MetaType {
    root(name, help, fields, false)
}

/// An object, or the root of subscriptions.
pub fn root(name: &str, help: &str, fields: Fields, is_subscription: bool) -> MetaType {
    MetaType::Object {
        name: name.to_owned(),
        description: Some(help.to_owned()),
        fields,
        cache_control: Default::default(),
        extends: false,
        shareable: false,
        resolvable: true,
        keys: None,
        visible: None,
        inaccessible: false,
        interface_object: false,
        tags: Vec::new(),
        is_subscription,
        rust_typename: None,
        directive_invocations: Vec::new(),
        requires_scopes: Vec::new(),
    }
}

fn interface(name: &str, help: &str, fields: Fields, possible_types: IndexSet<String>) -> MetaType {
    MetaType::Interface {
        name: name.to_owned(),
        description: Some(help.to_owned()),
        fields,
        possible_types,
        extends: false,
        keys: None,
        visible: None,
        inaccessible: false,
        tags: Vec::new(),
        rust_typename: None,
        directive_invocations: Vec::new(),
        requires_scopes: Vec::new(),
    }
}

/// What adds to the registry.
pub struct Types<'a> {
    pub registry: &'a mut Registry,
}

impl Types<'_> {
    pub fn add(&mut self, ty: MetaType) {
        self.registry.types.insert(ty.name().to_owned(), ty);
    }

    pub fn object(&mut self, name: &str, help: &str, list: impl IntoIterator<Item = MetaField>) {
        self.add(object(name, help, fields(list)));
    }

    pub fn interface(&mut self, name: &str, help: &str, list: impl IntoIterator<Item = MetaField>, possible: &[String]) {
        self.add(interface(name, help, fields(list), possible.iter().cloned().collect()));
        for ty in possible {
            self.registry.add_implements(ty, name);
        }
    }

    pub fn input(&mut self, name: &str, help: &str, list: impl IntoIterator<Item = MetaInputValue>) {
        self.input_object(name, help, inputs(list), false);
    }

    pub fn one_of(&mut self, name: &str, help: &str, list: impl IntoIterator<Item = MetaInputValue>) {
        self.input_object(name, help, inputs(list), true);
    }

    pub fn input_object(&mut self, name: &str, help: &str, input_fields: Inputs, oneof: bool) {
        self.add(MetaType::InputObject {
            name: name.to_owned(),
            description: Some(help.to_owned()),
            input_fields,
            visible: None,
            inaccessible: false,
            tags: Vec::new(),
            rust_typename: None,
            oneof,
            directive_invocations: Vec::new(),
        });
    }

    pub fn enumeration<'v>(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (&'v str, &'v str)>) {
        let value = |(name, help): (&str, &str)| {
            let value = MetaEnumValue {
                name: name.to_owned(),
                description: Some(help.to_owned()),
                deprecation: Deprecation::NoDeprecated,
                visible: None,
                inaccessible: false,
                tags: Vec::new(),
                directive_invocations: Vec::new(),
            };
            (name.to_owned(), value)
        };
        self.add(MetaType::Enum {
            name: name.to_owned(),
            description: Some(help.to_owned()),
            enum_values: values.into_iter().map(value).collect(),
            visible: None,
            inaccessible: false,
            tags: Vec::new(),
            rust_typename: None,
            directive_invocations: Vec::new(),
            requires_scopes: Vec::new(),
        });
    }

    pub fn scalar(&mut self, name: &str, help: &str, specified_by: Option<&str>, is_valid: fn(&async_graphql::Value) -> bool) {
        self.add(MetaType::Scalar {
            name: name.to_owned(),
            description: Some(help.to_owned()),
            is_valid: Some(std::sync::Arc::new(is_valid)),
            visible: None,
            inaccessible: false,
            tags: Vec::new(),
            specified_by_url: specified_by.map(str::to_owned),
            directive_invocations: Vec::new(),
            requires_scopes: Vec::new(),
        });
    }
}
