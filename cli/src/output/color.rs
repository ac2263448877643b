//! The escape sequences of a table in colour: each write to the stream ends with
//! a reset, as Python's colorama adds it.

const RESET: &str = "\u{1b}[0m";
const BOLD_BLUE: &str = "\u{1b}[1m\u{1b}[34m";
const DIM_YELLOW: &str = "\u{1b}[2m\u{1b}[33m";

/// Collects what is written, in colour or plain.
#[derive(Debug)]
pub(super) struct Stream {
    out: String,
    in_color: bool,
}

impl Stream {
    pub(super) fn new(in_color: bool) -> Self {
        Self {
            out: String::new(),
            in_color,
        }
    }

    /// One write.
    pub(super) fn write(&mut self, text: &str) {
        self.out.push_str(text);
        if self.in_color {
            self.out.push_str(RESET);
        }
    }

    /// One line between `level` edges on each side.
    pub(super) fn indented_line(&mut self, level: usize, text: &str) {
        let edges = self.edge().repeat(level);
        for part in [&edges, text, &edges, "\n"] {
            self.write(part);
        }
    }

    /// The text of a cell.
    pub(super) fn cell(&self, text: &str) -> String {
        self.styled(BOLD_BLUE, text)
    }

    fn edge(&self) -> String {
        self.styled(DIM_YELLOW, "|")
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.in_color {
            format!("{style}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }

    pub(super) fn into_text(self) -> String {
        self.out
    }
}
