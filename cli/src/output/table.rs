//! Tables: a section for each structure and list, boxes inside boxes.

mod section;

use serde_json::{Map, Value};

use super::color::Stream;
use crate::python;
use section::Section;

/// The answer as a table; nothing for what is empty.
///
/// # Errors
/// Python's message for an answer that no table can show: rows of different
/// lengths, or structures and other values in one list.
pub(crate) fn render(
    title: &str,
    value: &Value,
    in_color: bool,
    terminal_width: usize,
) -> Result<String, String> {
    let mut table = Table::default();
    if !table.build(Some(title), value, 0)? {
        return Ok(String::new());
    }
    let mut stream = Stream::new(in_color);
    if table.width() > terminal_width {
        table
            .sections
            .iter_mut()
            .for_each(Section::turn_if_single_row);
    }
    let width = table.width();
    stream.write(&format!("{}\n", "-".repeat(width)));
    for section in &table.sections {
        section.render(width, &mut stream);
    }
    Ok(stream.into_text())
}

#[derive(Debug, Default)]
struct Table {
    sections: Vec<Section>,
}

impl Table {
    /// Adds the value; says whether there was anything to add.
    fn build(&mut self, title: Option<&str>, value: &Value, level: usize) -> Result<bool, String> {
        if !python::is_truthy(value) {
            return Ok(false);
        }
        if let Some(title) = title {
            self.sections.push(Section::new(title, level));
        }
        match value {
            Value::Object(members) => self.structure(members, level)?,
            Value::Array(items) if items.first().is_some_and(Value::is_object) => {
                self.structures(items, level, title)?;
            }
            Value::Array(items) => {
                for item in items {
                    self.item(item)?;
                }
            }
            _ => {}
        }
        Ok(true)
    }

    /// An element of a list that does not begin with a structure.
    fn item(&mut self, item: &Value) -> Result<(), String> {
        let nested = |value: &Value| !is_scalar(value);
        match item {
            Value::Array(items) if items.iter().any(nested) => self.build(None, item, 0).map(drop),
            Value::Array(items) => self.section()?.row(items.iter().map(python::str).collect()),
            // Python iterates over the names.
            Value::Object(members) => self.section()?.row(members.keys().cloned().collect()),
            scalar => self.section()?.row(vec![python::str(scalar)]),
        }
    }

    fn structure(&mut self, members: &Map<String, Value>, level: usize) -> Result<(), String> {
        let (scalars, others) = names_by_kind([members]);
        match scalars.as_slice() {
            [] => {}
            [name] => {
                let row = vec![(*name).to_owned(), python::str(&members[*name])];
                self.section()?.row(row)?;
            }
            names => {
                self.section()?.header(names);
                let row = names.iter().map(|name| python::str(&members[*name]));
                self.section()?.row(row.collect())?;
            }
        }
        for name in others {
            self.build(Some(name), &members[name], level + 1)?;
        }
        Ok(())
    }

    fn structures(
        &mut self,
        items: &[Value],
        level: usize,
        title: Option<&str>,
    ) -> Result<(), String> {
        let structures = items.iter().map(|item| {
            let mixed = "A table cannot show a list that mixes structures and other values; \
                         take one kind with --query, or another --output";
            item.as_object().ok_or_else(|| mixed.to_owned())
        });
        let structures: Vec<_> = structures.collect::<Result<_, _>>()?;
        let (scalars, others) = names_by_kind(structures.iter().copied());
        self.section()?.header(&scalars);
        for (index, members) in structures.iter().enumerate() {
            if index > 0 && !others.is_empty() {
                self.sections
                    .push(Section::new(title.unwrap_or_default(), level));
                self.section()?.header(&scalars);
            }
            let cell = |name: &&str| members.get(*name).map_or(String::new(), python::str);
            self.section()?.row(scalars.iter().map(cell).collect())?;
            for name in &others {
                if let Some(value) = members.get(*name) {
                    self.build(Some(name), value, level + 1)?;
                }
            }
        }
        Ok(())
    }

    fn section(&mut self) -> Result<&mut Section, String> {
        self.sections
            .last_mut()
            .ok_or_else(|| "a table without a title".to_owned())
    }

    fn width(&self) -> usize {
        self.sections
            .iter()
            .map(Section::total_width)
            .max()
            .unwrap_or_default()
    }
}

/// The sorted names of the members that are scalars in some structure, and of
/// those that are not in some. A name can be among both.
fn names_by_kind<'a>(
    structures: impl IntoIterator<Item = &'a Map<String, Value>>,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut scalars, mut others) = (Vec::new(), Vec::new());
    for (name, value) in structures.into_iter().flatten() {
        if is_scalar(value) {
            &mut scalars
        } else {
            &mut others
        }
        .push(name.as_str());
    }
    for names in [&mut scalars, &mut others] {
        names.sort_unstable();
        names.dedup();
    }
    (scalars, others)
}

fn is_scalar(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

#[cfg(test)]
mod tests;
