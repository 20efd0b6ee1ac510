using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>What an exception means to whoever typed the command.</summary>
/// <param name="ExitCode">The exit code.</param>
/// <param name="Message">One line.</param>
internal sealed record CommandFault(ExitCode ExitCode, string Message)
{
    /// <summary>The line is wrong.</summary>
    public static CommandFault OfUsage(string message) => new(ExitCode.Usage, CommandOutput.OneLine(message));

    public static CommandFault Of(Exception e)
    {
        var code = e switch
        {
            CommandFailedException failed => failed.ExitCode,
            TenantNotFoundException or ConnectionNotFoundException => ExitCode.NotFound,
            ConnectionUnavailableException or TenantUnavailableException => ExitCode.Unavailable,
            TenantConflictException or TenantStateException => ExitCode.Conflict,
            DbUpdateException { InnerException: PostgresException { SqlState: PostgresErrorCodes.UniqueViolation } } =>
                ExitCode.Conflict,
            DbUpdateException { InnerException: PostgresException { SqlState: PostgresErrorCodes.CheckViolation } } =>
                ExitCode.Usage,
            OptionsValidationException or SecretDecryptionException => ExitCode.Configuration,
            InvalidSchemaNameException or ArgumentException => ExitCode.Usage,
            PostgresException => ExitCode.Failed,
            NpgsqlException => ExitCode.Unavailable,
            _ => ExitCode.Failed,
        };
        var message = e switch
        {
            OptionsValidationException options => string.Join(' ', options.Failures),
            // "See the inner exception for details" is no remedy.
            DbUpdateException { InnerException: PostgresException inner } => inner.MessageText,
            // Which migration it was, and nothing of the detail, which quotes rows.
            PostgresException p when p.Data["Migration"] is not null => $"Migration {FailureText.Of(p)}",
            // Without the name of the parameter, which nobody has typed.
            ArgumentException { ParamName: { } name } argument => argument.Message.Replace(
                $" (Parameter '{name}')",
                "",
                StringComparison.Ordinal
            ),
            _ => e.Message,
        };
        return new CommandFault(code, CommandOutput.OneLine(message));
    }
}
