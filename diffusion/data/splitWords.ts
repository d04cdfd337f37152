/** What parts of a data set are called that aren't classes. */
export const splitWords =
  /^(train|training|test|testing|tests|val|valid|validation|dev|eval|evaluation|holdout|heldout|extra|unlabell?ed|pred|prediction|predictions)$/;
