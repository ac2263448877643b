//! Descriptors as an answer to print.

use std::collections::HashMap;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    ServiceDescriptorProto,
};
use serde_json::{Map, Value, json};

/// Descriptions of one kind.
type Items = Vec<Value>;

/// What the numbers of descriptor.proto's fields are in paths of comments.
mod path {
    pub(super) const FILE_MESSAGE: i32 = 4;
    pub(super) const FILE_ENUM: i32 = 5;
    pub(super) const FILE_SERVICE: i32 = 6;
    pub(super) const SERVICE_METHOD: i32 = 2;
    pub(super) const MESSAGE_FIELD: i32 = 2;
    pub(super) const MESSAGE_MESSAGE: i32 = 3;
    pub(super) const MESSAGE_ENUM: i32 = 4;
    pub(super) const ENUM_VALUE: i32 = 2;
}

/// The services, messages and enumerations of the files; only what has that full
/// name if one is given.
pub(super) fn describe<'a>(
    files: impl IntoIterator<Item = &'a FileDescriptorProto>,
    symbol: Option<&str>,
) -> Value {
    let mut schema = Schema {
        symbol,
        ..Schema::default()
    };
    for file in files {
        schema.file(file);
    }
    let mut answer = Map::new();
    for (name, items) in [
        ("Services", schema.services),
        ("Messages", schema.messages),
        ("Enumerations", schema.enumerations),
    ] {
        if !items.is_empty() {
            answer.insert(name.to_owned(), Value::Array(items));
        }
    }
    Value::Object(answer)
}

#[derive(Default)]
struct Schema<'a> {
    symbol: Option<&'a str>,
    services: Items,
    messages: Items,
    enumerations: Items,
}

/// Where something stands: its full name's beginning, and the path of comments.
struct Place<'a> {
    scope: &'a str,
    path: Vec<i32>,
    comments: &'a HashMap<Vec<i32>, String>,
}

impl Place<'_> {
    fn name(&self, name: &str) -> String {
        match self.scope {
            "" => name.to_owned(),
            scope => format!("{scope}.{name}"),
        }
    }

    /// Adds the comment to an item behind its name, if there is one.
    fn comment(&self, item: &mut Map<String, Value>, below: &[i32]) {
        let path = [self.path.as_slice(), below].concat();
        if let Some(comment) = self.comments.get(&path) {
            let behind_name = item
                .keys()
                .position(|key| key == "Name")
                .map_or(0, |at| at + 1);
            item.shift_insert(
                behind_name,
                "Description".to_owned(),
                comment.as_str().into(),
            );
        }
    }

    fn item(&self, below: &[i32], members: Value) -> Value {
        let Value::Object(mut item) = members else {
            return members;
        };
        self.comment(&mut item, below);
        Value::Object(item)
    }
}

impl Schema<'_> {
    fn file(&mut self, file: &FileDescriptorProto) {
        let comments = comments(file);
        let place = |number: i32, index: usize| Place {
            scope: file.package(),
            path: vec![number, position(index)],
            comments: &comments,
        };
        for (index, service) in file.service.iter().enumerate() {
            self.service(service, &place(path::FILE_SERVICE, index));
        }
        for (index, message) in file.message_type.iter().enumerate() {
            self.message(message, &place(path::FILE_MESSAGE, index));
        }
        for (index, enumeration) in file.enum_type.iter().enumerate() {
            self.enumeration(enumeration, &place(path::FILE_ENUM, index));
        }
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.symbol.is_none_or(|symbol| symbol == name)
    }

    fn service(&mut self, service: &ServiceDescriptorProto, place: &Place<'_>) {
        let name = place.name(service.name());
        let methods = service.method.iter().enumerate().filter_map(|(index, method)| {
            let full = format!("{name}.{}", method.name());
            if !self.is_wanted(&name) && !self.is_wanted(&full) {
                return None;
            }
            let stream = |is_stream: bool| if is_stream { "stream " } else { "" };
            let members = json!({
                "Name": method.name(),
                "Input": format!("{}{}", stream(method.client_streaming()), type_name(method.input_type())),
                "Output": format!("{}{}", stream(method.server_streaming()), type_name(method.output_type())),
            });
            Some(place.item(&[path::SERVICE_METHOD, position(index)], members))
        });
        let methods: Items = methods.collect();
        if self.is_wanted(&name) || !methods.is_empty() {
            let item = place.item(&[], json!({"Name": name, "Methods": methods}));
            self.services.push(item);
        }
    }

    fn message(&mut self, message: &DescriptorProto, place: &Place<'_>) {
        let name = place.name(message.name());
        if self.is_wanted(&name) {
            let fields = message.field.iter().enumerate().map(|(index, field)| {
                let members = json!({
                    "Number": field.number(),
                    "Name": field.name(),
                    "Type": field_type(field),
                });
                place.item(&[path::MESSAGE_FIELD, position(index)], members)
            });
            let fields: Items = fields.collect();
            let item = place.item(&[], json!({"Name": name, "Fields": fields}));
            self.messages.push(item);
        }
        let inner = |number: i32, index: usize| Place {
            scope: &name,
            path: [place.path.as_slice(), &[number, position(index)]].concat(),
            comments: place.comments,
        };
        for (index, message) in message.nested_type.iter().enumerate() {
            self.message(message, &inner(path::MESSAGE_MESSAGE, index));
        }
        for (index, enumeration) in message.enum_type.iter().enumerate() {
            self.enumeration(enumeration, &inner(path::MESSAGE_ENUM, index));
        }
    }

    fn enumeration(&mut self, enumeration: &EnumDescriptorProto, place: &Place<'_>) {
        let name = place.name(enumeration.name());
        if !self.is_wanted(&name) {
            return;
        }
        let values = enumeration.value.iter().enumerate().map(|(index, value)| {
            let members = json!({"Number": value.number(), "Name": value.name()});
            place.item(&[path::ENUM_VALUE, position(index)], members)
        });
        let values: Items = values.collect();
        let item = place.item(&[], json!({"Name": name, "Values": values}));
        self.enumerations.push(item);
    }
}

/// The comments in front of what they are about, each in one line.
fn comments(file: &FileDescriptorProto) -> HashMap<Vec<i32>, String> {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let comments = locations.map(|location| {
        let words: Vec<_> = location.leading_comments().split_whitespace().collect();
        (location.path.clone(), words.join(" "))
    });
    comments
        .filter(|(_, comment)| !comment.is_empty())
        .collect()
}

fn field_type(field: &FieldDescriptorProto) -> String {
    let base = match field.r#type() {
        Type::Message | Type::Enum | Type::Group => type_name(field.type_name()).to_owned(),
        scalar => scalar
            .as_str_name()
            .trim_start_matches("TYPE_")
            .to_ascii_lowercase(),
    };
    match field.label() {
        Label::Repeated => format!("repeated {base}"),
        _ if field.proto3_optional() => format!("optional {base}"),
        _ => base,
    }
}

/// Full names begin with a dot in descriptors.
fn type_name(name: &str) -> &str {
    name.trim_start_matches('.')
}

/// Of something in a descriptor, which has far fewer than 2³¹ of anything.
fn position(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use face_liveness_client::v1;
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    fn describe(symbol: Option<&str>) -> Value {
        let set = FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET).unwrap();
        let ours = set
            .file
            .iter()
            .filter(|file| file.package() == "faceliveness.v1");
        super::describe(ours, symbol)
    }

    #[test]
    fn services_methods_and_messages_are_described_with_their_comments() {
        let answer = describe(None);
        let service = &answer["Services"][0];
        assert_eq!(service["Name"], v1::SERVICE_NAME);
        let method = &service["Methods"][0];
        assert_eq!(method["Name"], "CreateSession");
        assert_eq!(method["Input"], "faceliveness.v1.CreateSessionRequest");
        assert!(
            method["Description"]
                .as_str()
                .unwrap()
                .starts_with("Creates a session")
        );
        assert_eq!(answer["Messages"].as_array().unwrap().len(), 6);
        assert_eq!(
            answer["Enumerations"][0]["Values"][2]["Name"],
            "CHALLENGE_TYPE_FACE_MOVEMENT"
        );
    }

    #[test]
    fn a_symbol_is_described_alone() {
        let answer = describe(Some("faceliveness.v1.Settings"));
        assert!(answer.get("Services").is_none(), "{answer}");
        let fields = answer["Messages"][0]["Fields"].as_array().unwrap();
        let types: Vec<_> = fields
            .iter()
            .map(|field| field["Type"].as_str().unwrap())
            .collect();
        assert_eq!(
            types,
            [
                "faceliveness.v1.OutputConfig",
                "optional int32",
                "repeated faceliveness.v1.ChallengePreference",
            ]
        );
        let answer = describe(Some("faceliveness.v1.FaceLivenessService.CreateSession"));
        assert_eq!(answer["Services"][0]["Methods"][0]["Name"], "CreateSession");
    }
}
