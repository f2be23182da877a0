//! Mini-transactions, analysis, redo, undo and checkpoints
