//! The page at `/`: one file, put together when the gateway is built.

/// What is served.
pub(super) const PAGE: &str = concat!(
    include_str!("page/head.html"),
    include_str!("page/style.css"),
    include_str!("page/body.html"),
    include_str!("page/documents.js"),
    include_str!("page/words.js"),
    include_str!("page/seen.js"),
    include_str!("page/findings.js"),
    include_str!("page/charts.js"),
    include_str!("page/sections.js"),
    include_str!("page/main.js"),
    "</script>\n</body>\n</html>\n",
);
