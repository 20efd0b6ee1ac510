using System.CommandLine.Parsing;
using System.Globalization;

namespace NeoCommons.EfCore.Admin;

/// <summary>Reads values of options, and says of those that cannot be what the option takes.</summary>
/// <remarks>The parser's own words for it are names of .NET types; and what is out of range it lets through.</remarks>
internal static class OptionValue
{
    /// <summary>The value of an option.</summary>
    /// <param name="option">What was given.</param>
    /// <param name="takes">What the option takes, in words.</param>
    /// <param name="isFine">Whether it takes this one.</param>
    public static T Read<T>(ArgumentResult option, string takes, Func<T, bool>? isFine = null)
        where T : struct, IParsable<T> => ReadAll(option, takes, isFine) is [var value] ? value : default;

    /// <summary>The values of an option that takes several.</summary>
    /// <inheritdoc cref="Read"/>
    public static T[] ReadAll<T>(ArgumentResult option, string takes, Func<T, bool>? isFine = null)
        where T : struct, IParsable<T>
    {
        var values = new List<T>();
        foreach (var text in option.Tokens.Select(t => t.Value))
        {
            if (T.TryParse(text, CultureInfo.InvariantCulture, out var value) && isFine?.Invoke(value) is not false)
            {
                values.Add(value);
            }
            else
            {
                option.AddError($"{(option.Parent as OptionResult)?.Option.Name} takes {takes}, not '{text}'.");
            }
        }

        return [.. values];
    }
}
