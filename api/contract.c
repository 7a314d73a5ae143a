/* The contract as bytes of the program: the assembler reads the file, so that nothing is generated and nothing installed. */
#include "api/contract.h"

__asm__(".section .rodata\n"
	".global contract_yaml\n"
	"contract_yaml:\n"
	".incbin \"openapi/lunette.yaml\"\n"
	".byte 0\n"
	".previous\n");
