// The opcodes of classic BPF: the code field of an instruction (bpf.ts). Import them as a namespace: `op.LD_W_ABS`.
//
//   A, X   registers        M[]  scratch memory    k  the instruction's constant
//   ABS    at offset k      IND  at offset X + k   W, H, B  4, 2 or 1 bytes of the packet, in network order
//
// Specification: bpf(4); the values are those of pcap/bpf.h, which composes them of class, size and mode.
export const LD_W_ABS = 0x20;
export const LD_H_ABS = 0x28;
export const LD_B_ABS = 0x30;
export const LD_W_IND = 0x40;
export const LD_H_IND = 0x48;
export const LD_B_IND = 0x50;
export const LD_LEN = 0x80;
export const LD_IMM = 0x00;
export const LD_MEM = 0x60;
export const LDX_IMM = 0x01;
export const LDX_MEM = 0x61;
export const LDX_LEN = 0x81;
/** X <- 4 * (P[k] & 0xf): the length of an IPv4 header. */
export const LDX_MSH = 0xb1;
export const ST = 0x02;
export const STX = 0x03;
export const ALU_ADD = 0x04;
export const ALU_SUB = 0x14;
export const ALU_MUL = 0x24;
export const ALU_DIV = 0x34;
export const ALU_OR = 0x44;
export const ALU_AND = 0x54;
export const ALU_LSH = 0x64;
export const ALU_RSH = 0x74;
export const ALU_NEG = 0x84;
export const ALU_MOD = 0x94;
export const ALU_XOR = 0xa4;
export const JA = 0x05;
export const JEQ = 0x15;
export const JGT = 0x25;
export const JGE = 0x35;
export const JSET = 0x45;
/** Set in an ALU or conditional jump code: the operand is X, not k. */
export const X = 0x08;
export const RET_K = 0x06;
export const RET_A = 0x16;
export const TAX = 0x07;
export const TXA = 0x87;
