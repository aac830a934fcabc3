// Command upstream is the server behind gnothi in the sessions of the official
// clients: it prints its base URL and answers by what it is sent.
package main
