//! Page bytes: layouts, checksums, page operations and the page file
