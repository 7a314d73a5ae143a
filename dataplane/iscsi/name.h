/* iSCSI names (RFC 7143 section 4.2.7, RFC 3722): syntax, and the form in which they are compared. */
#ifndef LUNETTE_ISCSI_NAME_H
#define LUNETTE_ISCSI_NAME_H

#include <stdbool.h>

#include "dataplane/iscsi/pdu.h"

/* What is wrong with the name, in words for a log line; NULL when it is a well-formed iqn., eui. or naa. name. Only names
 * that are already normalised are accepted (RFC 3722: lower case, no character but letters, digits, '-', '.', ':');
 * the hexadecimal digits of eui. and naa. names may have either case. */
const char *iscsi_name_complaint(const char *name);

/* Copies with ASCII letters in lower case, so that eui. and naa. names compare as equal. False: longer than 223 bytes. */
bool iscsi_name_fold(char ret_name[ISCSI_NAME_MAX], const char *name);

#endif
