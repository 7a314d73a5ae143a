/* openapi/lunette.yaml, as it was when this was built. */
#ifndef LUNETTE_API_CONTRACT_H
#define LUNETTE_API_CONTRACT_H

extern const char contract_yaml[]; /* NUL-terminated */

#endif
