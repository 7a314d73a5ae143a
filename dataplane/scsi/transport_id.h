/* TransportIDs of iSCSI initiators (SPC-4 7.6.4.6): name alone (format 00b) or name and ISID (format 01b). Pure. */
#ifndef LUNETTE_SCSI_TRANSPORT_ID_H
#define LUNETTE_SCSI_TRANSPORT_ID_H

#include "dataplane/scsi/pr_state.h"

#define TRANSPORT_ID_MAX_BYTES 256

/* The TransportID at the start of len_bytes bytes; target_port of *ret_nexus is PR_TARGET_PORT_ANY. Returns its length in
 * bytes, 0 when it is malformed or of another protocol. */
unsigned transport_id_decode(const uint8_t *bytes, unsigned len_bytes, struct pr_nexus *ret_nexus);
/* Returns the length, at most TRANSPORT_ID_MAX_BYTES. */
unsigned transport_id_encode(const struct pr_nexus *nexus, uint8_t *ret_bytes);

#endif
