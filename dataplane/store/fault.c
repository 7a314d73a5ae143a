#include "dataplane/store/driver.h"
const struct store_ops store_fault_ops = {.kind = "fault"};
